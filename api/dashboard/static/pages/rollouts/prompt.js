// A prompt as people read it: the conversation of its row in the data file, and the row's other columns.

import { get } from "../../lib/api.js";
import { facts } from "../../lib/components.js";
import { h } from "../../lib/dom.js";

/** The row of a job's data file, null where the file or the row is gone. */
export async function itemOf(job, split, example, signal) {
  const file = split === "train" ? job.training_file : job.validation_file;
  if (!file) return null;
  try {
    const page = await get(`/files/${encodeURIComponent(file)}/rows`, { query: { start: example, limit: 1 }, signal });
    return page.data[0]?.value ?? null;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** The conversation, the reference columns beside it, and the text that the model really read. */
export function promptCard(item, transcript) {
  const { messages = null, tools = null, ...columns } = item ?? {};
  return h(
    "section",
    { class: "card prompt", "aria-label": "Prompt" },
    Array.isArray(messages) ? messages.map(message) : h("div", { class: "wrap mono" }, transcript),
    Object.keys(columns).length > 0 && facts(Object.entries(columns).map(([name, value]) => [name, h("span", { class: "wrap" }, said(value))])),
    tools && facts([["tools", h("span", { class: "wrap mono" }, said(tools))]]),
    messages && h("details", {}, h("summary", { class: "small" }, "As the model read it"), h("pre", { class: "small" }, transcript)),
  );
}

/** The user's words out of a transcript or an excerpt of it, for lists. */
export function shortPrompt(transcript) {
  const plain = transcript.replace(/<\|[^|<>\s]*\|>|<\/?s>|<bos>|<(start|end)_of_turn>/g, "\n").replace(/\s*(assistant|model)\s*$/i, "");
  const asked = plain.split(/\n\s*user\s*\n/i).at(-1);
  return asked.replace(/\s+/g, " ").trim() || plain.trim();
}

function message({ role, content }) {
  const text = typeof content === "string" ? content : Array.isArray(content) ? content.map((part) => part.text ?? "").join("") : "";
  return h("div", { class: "turn" }, h("span", { class: "role small" }, role), h("div", { class: "wrap" }, text));
}

function said(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
