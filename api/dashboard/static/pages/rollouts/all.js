// All samples of a step in one list: sorted and filtered by the service, fetched page by page as the reader scrolls.

import { get } from "../../lib/api.js";
import { field, input, inStack, select } from "../../lib/components.js";
import { debounced, h } from "../../lib/dom.js";
import { count, figure } from "../../lib/format.js";
import { href, setQuery } from "../../lib/router.js";
import { pagedList } from "./paged-list.js";
import { shortPrompt } from "./prompt.js";
import { signed, words } from "./sample.js";

const ORDERS = [["sampled", "As sampled"], ["-reward", "Best reward first"], ["reward", "Worst reward first"], ["-advantage", "Largest advantage first"], ["advantage", "Smallest advantage first"], ["-length", "Longest first"], ["length", "Shortest first"]];
const ERRORS = [["", "All"], ["none", "Graded"], ["any", "Not graded"]];

export function allView({ job, path, state, sampled, signal, query }) {
  const wanted = { order_by: query.get("order_by") ?? "sampled", error: query.get("error") ?? "", contains: query.get("contains") ?? "" };
  const orderBy = select(ORDERS, { value: wanted.order_by });
  const error = select(ERRORS, { value: wanted.error });
  const contains = input({ type: "search", value: wanted.contains, maxlength: 500, placeholder: "In prompt or answer" });
  const told = h("p", { class: "small muted", role: "status" });
  const total = sampled.find((each) => each.split === state.split && each.step === state.step)?.samples ?? 0;
  const list = pagedList({
    height: 92,
    label: "Samples",
    signal,
    nothing: "No sample of this step matches. Take a filter away, or choose another step.",
    fetchPage: (after) => get(`${path}/rollouts`, { query: { step: state.step, split: state.split, limit: 100, ...wanted, after }, signal }),
    render: (rollout) => row(rollout, job, state),
    onCount: (loaded, more) => {
      told.textContent = more ? `${count(loaded)} of up to ${count(total)} samples; more come as you scroll` : `${count(loaded)} of ${count(total)} samples`;
    },
  });
  function changed() {
    Object.assign(wanted, { order_by: orderBy.value, error: error.value, contains: contains.value });
    for (const [name, value] of Object.entries(wanted)) query.set(name, value);
    setQuery({ ...wanted, order_by: wanted.order_by === "sampled" ? null : wanted.order_by });
    list.reload();
  }
  orderBy.addEventListener("change", changed);
  error.addEventListener("change", changed);
  contains.addEventListener("input", debounced(300, changed));
  return inStack(h("div", { class: "fields" }, field("Order", orderBy), field("Grading", error), field("Text", contains)), told, list);
}

function row(rollout, job, state) {
  const graded = rollout.reward !== null;
  return h(
    "a",
    { class: "sample-row", href: href(`/jobs/${job.id}/rollouts`, { step: state.step, split: state.split === "train" ? null : state.split, prompt: rollout.example, sample: rollout.sample }) },
    h("span", { class: "sample-reward" }, h("strong", { class: graded ? "num" : "bad-text small" }, graded ? figure(rollout.reward) : words(rollout.error_kind ?? "no reward")), h("span", { class: "small muted num" }, `${signed(rollout.advantage)} adv.`), h("span", { class: "small muted num" }, `${count(rollout.completion_tokens)} tokens`)),
    h("span", { class: "sample-texts" }, h("span", { class: "small muted clip" }, `${rollout.example}: ${shortPrompt(rollout.prompt)}`), h("span", { class: "sample-text" }, rollout.completion.slice(0, 400))),
  );
}
