// The same conversation with two models, beside each other: the base model and what training made of it.

import { all, send } from "../lib/api.js";
import { badge, button, card, empty, errorNote, field, input, inRow, inStack, linkButton, pageHead, select, smallText, textarea } from "../lib/components.js";
import { h, replace } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { href, setQuery } from "../lib/router.js";
import { eventsOf } from "../lib/event-stream.js";

export const title = "Chat";

export async function open({ root, query, signal }) {
  const models = await all("/models", { query: { limit: null }, signal });
  const tuned = models.filter((model) => model.id.startsWith("ft:")).toSorted((a, b) => b.created - a.created);
  root.append(pageHead("Chat", "One prompt, two models: what training has changed."));
  if (!models.length) {
    root.append(empty("No models are served", "The operator names base models in the file that RFT_MODELS points to."));
    return;
  }
  const wanted = query.get("model") ?? tuned[0]?.id ?? models[0].id;
  const start = { left: query.get("left") ?? baseOf(wanted, models), right: wanted };
  const ids = [...new Set([...models.map((model) => model.id), start.left, start.right])];
  const columns = ["left", "right"].map((side) => column(side, ids, start[side], remember));
  const form = controls(query, sendAll);
  let running = null;

  function remember() {
    setQuery({ left: columns[0].model(), model: columns[1].model() });
  }
  async function sendAll() {
    if (running) return running.abort();
    const prompt = form.prompt.value.trim();
    if (!prompt) return form.prompt.focus();
    running = new AbortController();
    const stop = () => running?.abort();
    signal.addEventListener("abort", stop);
    form.busy(true);
    form.prompt.value = "";
    try {
      await Promise.all(columns.map((each) => each.say(prompt, form.settings(), running.signal)));
    } finally {
      signal.removeEventListener("abort", stop);
      running = null;
      form.busy(false);
      form.prompt.focus();
    }
  }
  if (!tuned.length) {
    root.append(card(null, {}, h("p", {}, "There is no tuned model yet, so two base models are compared. A job's model is served here as soon as it has a checkpoint. ", linkButton("Create a job", href("/jobs/new"), { kind: "quiet" }))));
  }
  root.append(h("div", { class: "chat-columns" }, columns.map((each) => each.element)), form.element);
  form.onClear(() => columns.forEach((each) => each.clear()));
  form.prompt.focus({ preventScroll: true });
}

/** The model that a tuned one was made of: `ft:<base>:<organization>:…`. */
function baseOf(id, models) {
  const base = id.startsWith("ft:") ? id.split(":")[1] : null;
  return models.find((model) => model.id === base)?.id ?? models.find((model) => !model.id.startsWith("ft:"))?.id ?? models[0].id;
}

function column(side, ids, chosen, changed) {
  const model = select(ids, { value: chosen });
  const log = h("div", { class: "chat-log", role: "log", tabindex: 0, "aria-label": `Conversation with the ${side} model`, "aria-live": "polite" });
  let turns = [];
  function clear() {
    turns = [];
    replace(log, h("p", { class: "muted small" }, "Nothing said yet. Both models get the prompt below, and each goes on with its own answers."));
  }
  model.addEventListener("change", changed);
  clear();

  async function say(prompt, { system, ...settings }, signal) {
    if (!turns.length) replace(log);
    turns.push({ role: "user", content: prompt });
    const body = { model: model.value, messages: [...(system ? [{ role: "system", content: system }] : []), ...turns], stream: true, stream_options: { include_usage: true }, ...settings };
    const text = document.createTextNode("");
    const foot = smallText("Waiting for the model. It is loaded on first use, and waits where a job holds the only device.");
    log.append(h("div", { class: "bubble user wrap" }, prompt), h("div", { class: "bubble assistant" }, h("div", { class: "wrap" }, text), foot));
    log.scrollTop = log.scrollHeight;
    const begun = performance.now();
    let first = null;
    let tokens = null;
    let reason = null;
    try {
      for await (const chunk of eventsOf(await send("POST", "/chat/completions", { body, signal }))) {
        const choice = chunk.choices?.[0];
        if (choice?.delta?.content) {
          if (first === null) {
            first = performance.now();
            replace(foot, "Writing…");
          }
          text.appendData(choice.delta.content);
          log.scrollTop = log.scrollHeight;
        }
        reason = choice?.finish_reason ?? reason;
        tokens = chunk.usage?.completion_tokens ?? tokens;
      }
    } catch (error) {
      if (error.name === "AbortError") reason = "stopped";
      else {
        replace(foot, errorNote(error));
        turns.pop();
        return;
      }
    }
    turns.push({ role: "assistant", content: text.data });
    const seconds = (performance.now() - begun) / 1000;
    replace(foot, [tokens !== null && `${tokens} tokens`, duration(seconds), first !== null && `first after ${duration((first - begun) / 1000)}`].filter(Boolean).join(" · "), " ", reason === "length" && badge("cut off", "warn"), reason === "stopped" && badge("stopped", "warn"));
  }
  const label = side === "left" ? "Left model" : "Right model";
  return { element: card(null, { class: "chat-column" }, inStack(field(label, model), log)), model: () => model.value, say, clear };
}

function controls(query, submit) {
  const number = (name, value, attributes) => input({ type: "number", inputmode: "decimal", value: query.get(name) ?? value, ...attributes });
  const temperature = number("temperature", "0.7", { min: 0, max: 2, step: 0.1 });
  const tokens = number("max_tokens", "256", { min: 1, step: 1 });
  const seed = number("seed", "1", { step: 1 });
  const system = input({ value: query.get("system") ?? "" });
  const prompt = textarea({ rows: 3, value: query.get("prompt") ?? "", placeholder: "Ask both models" });
  const go = h("button", { class: "button primary", type: "submit" }, "Send");
  const clear = button("Start over", null, { kind: "quiet" });
  const form = h(
    "form",
    { class: "card stack chat-form", on: { submit: (event) => (event.preventDefault(), submit()) } },
    field("Prompt", prompt, { hint: "Ctrl + Enter sends it to both." }),
    inRow(go, clear),
    h("details", {}, h("summary", {}, "Settings of both models"), h("div", { class: "fields" }, field("Temperature", temperature), field("Tokens at most", tokens), field("Seed", seed, { hint: "The same seed and nobody beside you: the same answer." }), field("System message", system))),
  );
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  });
  const value = (control) => (control.value === "" ? undefined : Number(control.value));
  return {
    element: form,
    prompt,
    settings: () => ({ temperature: value(temperature), max_completion_tokens: value(tokens), seed: value(seed), system: system.value.trim() }),
    busy: (on) => {
      go.textContent = on ? "Stop" : "Send";
      form.setAttribute("aria-busy", String(on));
    },
    onClear: (action) => clear.addEventListener("click", action),
  };
}
