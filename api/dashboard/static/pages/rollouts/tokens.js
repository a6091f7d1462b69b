// A completion as text, plain or with each token coloured by how probable it was when it was drawn.

import { inStack, smallText } from "../../lib/components.js";
import { h } from "../../lib/dom.js";
import { percent } from "../../lib/format.js";

/** Upper ends of the classes p0, p1, …; each has a colour in the style sheet. */
const CLASSES = [0.01, 0.1, 0.3, 0.7, 1.01];

export function completion(rollout, { colour = false } = {}) {
  if (!colour) return h("div", { class: "completion wrap", tabindex: 0 }, rollout.completion || h("em", { class: "muted" }, "An empty answer."));
  if (!rollout.token_texts) {
    return inStack(smallText("Which token wrote which characters was not kept for this sample."), completion(rollout));
  }
  return h("div", { class: "completion wrap", tabindex: 0 }, rollout.token_texts.map((text, index) => token(text, rollout.logprobs[index])));
}

function token(text, logprob) {
  const probability = Math.exp(logprob);
  const kind = CLASSES.findIndex((end) => probability < end);
  return h("span", { class: `token p${kind}`, title: `${percent(probability)} (log-probability ${logprob.toFixed(2)})` }, text);
}

export function tokenLegend() {
  const names = ["under 1 %", "1–10 %", "10–30 %", "30–70 %", "above 70 %"];
  return h("p", { class: "row small muted" }, "Probability of the token when it was drawn:", names.map((name, index) => h("span", { class: `token p${index}` }, name)));
}
