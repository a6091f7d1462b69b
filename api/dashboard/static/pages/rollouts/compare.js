// The validation answers of two steps beside each other: same prompts, same luck, another policy.

import { all } from "../../lib/api.js";
import { badge, button, card, empty, field, inStack, linkButton, select, smallText, toastError } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { figure } from "../../lib/format.js";
import { href, setQuery } from "../../lib/router.js";
import { shortPrompt } from "./prompt.js";
import { failure, reward, rewardBar, signed } from "./sample.js";

const AT_ONCE = 30;
const ORDERS = [["worse", "Most worsened first"], ["better", "Most improved first"], ["file", "As in the file"]];

export async function compareView({ job, path, sampled, signal, query }) {
  const steps = sampled.filter((each) => each.split === "valid").map((each) => each.step);
  if (steps.length < 2) {
    return empty("Two evaluations are needed", job.validation_file ? "The validation file is answered before training and then every few steps. Come back when the second evaluation is done." : "This job has no validation file. Give one when you create a job, and its answers before and after training stand here beside each other.", linkButton("To the job", href(`/jobs/${job.id}`)));
  }
  const checkpoints = await all(`${path}/checkpoints`, { signal });
  const asked = (name, otherwise) => (query.has(name) && steps.includes(Number(query.get(name))) ? Number(query.get(name)) : otherwise);
  const state = { a: asked("a", steps[0]), b: asked("b", bestOf(checkpoints, steps)), order: ORDERS.some(([key]) => key === query.get("sort")) ? query.get("sort") : "better" };
  const options = steps.map((step) => [String(step), named(step, checkpoints)]);
  const [first, second, order] = [select(options, { value: String(state.a) }), select(options, { value: String(state.b) }), select(ORDERS, { value: state.order })];
  const content = inStack();
  async function load() {
    setQuery({ a: state.a, b: state.b, sort: state.order === "better" ? null : state.order });
    const [before, after] = await Promise.all([state.a, state.b].map((step) => all(`${path}/rollouts`, { query: { step, split: "valid" }, signal, most: 4000 })));
    if (signal.aborted) return;
    const pairs = paired(before, after);
    show(content, pairs, state, job);
  }
  for (const [control, name] of [[first, "a"], [second, "b"], [order, "order"]]) {
    control.addEventListener("change", () => {
      state[name] = name === "order" ? control.value : Number(control.value);
      load().catch(toastError);
    });
  }
  await load();
  return inStack(h("div", { class: "fields" }, field("Left", first), field("Right", second), field("Order", order)), content);
}

function bestOf(checkpoints, steps) {
  const best = checkpoints.filter((each) => steps.includes(each.step_number)).reduce((best, each) => ((each.metrics.full_valid_mean_reward ?? -Infinity) > (best?.metrics.full_valid_mean_reward ?? -Infinity) ? each : best), null);
  return best?.step_number || steps.at(-1);
}

function named(step, checkpoints) {
  if (step === 0) return "Base model (step 0)";
  return checkpoints.some((each) => each.step_number === step) ? `Step ${step} (checkpoint)` : `Step ${step}`;
}

function paired(before, after) {
  const key = (rollout) => `${rollout.example}-${rollout.sample}`;
  const others = new Map(after.map((rollout) => [key(rollout), rollout]));
  return before.filter((rollout) => others.has(key(rollout))).map((rollout) => {
    const other = others.get(key(rollout));
    const change = rollout.reward === null || other.reward === null ? null : other.reward - rollout.reward;
    return { before: rollout, after: other, change };
  });
}

function show(content, pairs, state, job) {
  const sign = { better: -1, worse: 1, file: 0 }[state.order];
  const place = (pair) => (pair.change === null ? Number.MAX_VALUE : sign * pair.change);
  const sorted = sign ? pairs.toSorted((a, b) => place(a) - place(b)) : pairs;
  const rows = inStack();
  const more = button("Show more", () => extend(), { kind: "" });
  let count = 0;
  function extend() {
    rows.append(...sorted.slice(count, count + AT_ONCE).map((pair) => pairCard(pair, state, job)));
    count = Math.min(sorted.length, count + AT_ONCE);
    more.hidden = count >= sorted.length;
  }
  const changes = pairs.map((pair) => pair.change).filter((change) => change !== null);
  const mean = changes.length ? changes.reduce((sum, change) => sum + change, 0) / changes.length : null;
  const better = changes.filter((change) => change > 1e-9).length;
  const worse = changes.filter((change) => change < -1e-9).length;
  replace(
    content,
    h("p", { role: "status", class: "row" }, badge(`${better} better`, "good"), badge(`${worse} worse`, "bad"), badge(`${changes.length - better - worse} the same`, "plain"), h("span", { class: "muted" }, `mean change of the reward ${signed(mean)} over ${changes.length} graded pairs`)),
    rows,
    more,
  );
  extend();
}

function pairCard({ before, after, change }, state, job) {
  const tone = change === null ? "plain" : change > 1e-9 ? "good" : change < -1e-9 ? "bad" : "plain";
  return card(
    `${before.example}: ${shortPrompt(before.prompt).slice(0, 300)}`,
    { class: "pair", level: 2, aside: [badge(change === null ? "not comparable" : signed(change), tone), linkButton("Over the steps", href(`/jobs/${job.id}/rollouts`, { view: "history", split: "valid", prompt: before.example }), { kind: "quiet" })] },
    h("div", { class: "sides" }, side(before, state.a), side(after, state.b)),
  );
}

function side(rollout, step) {
  return inStack(h("div", { class: "row spread" }, h("h3", {}, step === 0 ? "Base model" : `Step ${step}`), reward(rollout)), rewardBar(rollout), h("div", { class: "completion wrap", tabindex: 0 }, rollout.completion || h("em", { class: "muted" }, "An empty answer.")), rollout.error_kind && failure(rollout.error_kind, rollout.error_details), smallText(`${rollout.completion_tokens} tokens${rollout.reward === null ? "" : `, reward ${figure(rollout.reward)}`}`));
}
