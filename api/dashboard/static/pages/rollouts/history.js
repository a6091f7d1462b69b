// One prompt over the steps: how its rewards move, and what was written each time.

import { all } from "../../lib/api.js";
import { card, empty, field, input, inRow, inStack, smallText } from "../../lib/components.js";
import { chart } from "../../lib/chart.js";
import { h } from "../../lib/dom.js";
import { figure } from "../../lib/format.js";
import { itemOf, promptCard } from "./prompt.js";
import { sampleCard } from "./sample.js";
import { tokenLegend } from "./tokens.js";

const MOST = 1000;
/** Up to so many samples are all shown; of more, the first and the last step. */
const AT_ONCE = 12;

export async function historyView({ job, path, state, signal, go }) {
  const example = state.prompt ?? 0;
  const [item, rollouts] = await Promise.all([
    itemOf(job, state.split, example, signal),
    all(`${path}/rollouts`, { query: { example, split: state.split, include: state.colour ? "tokens" : null }, signal, most: MOST }),
  ]);
  const number = input({ type: "number", min: 0, value: example, inputmode: "numeric" });
  number.addEventListener("change", () => number.value !== "" && go({ prompt: Number(number.value) }));
  const choice = inRow(field("Prompt (row of the data file, from 0)", number));
  if (!rollouts.length) return inStack(choice, empty("This prompt was not sampled yet", "Each epoch samples every prompt once; validation samples its prompts at every evaluation. Choose another prompt, or come back later."));
  const steps = Map.groupBy ? Map.groupBy(rollouts, (rollout) => rollout.step) : grouped(rollouts);
  const points = [...steps].map(([step, members]) => summary(step, members)).filter((point) => point.y !== null);
  return inStack(
    choice,
    promptCard(item, rollouts[0].prompt),
    card(null, {}, chart({ title: "Reward of this prompt", level: 2, subtitle: "The mean of its samples; the band goes from the least to the greatest.", signal, file: `${job.id}-prompt-${example}`, series: [{ name: state.split === "train" ? "train" : "validation", color: state.split === "train" ? "--train" : "--valid", markers: true, points }], onPoint: ({ x }) => go({ view: "groups", step: x, prompt: example }) })),
    state.colour && tokenLegend(),
    [...steps].map(([step, members], index) => stepSection(step, members, { job, state, open: rollouts.length <= AT_ONCE || index === 0 || index === steps.size - 1 })),
    rollouts.length === MOST && smallText(`The first ${MOST} samples are shown.`),
  );
}

function grouped(rollouts) {
  const steps = new Map();
  for (const rollout of rollouts) steps.set(rollout.step, [...(steps.get(rollout.step) ?? []), rollout]);
  return steps;
}

function summary(step, members) {
  const rewards = members.map((rollout) => rollout.reward).filter((reward) => reward !== null);
  if (!rewards.length) return { x: step, y: null };
  return { x: step, y: rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length, low: Math.min(...rewards), high: Math.max(...rewards) };
}

/** The samples of a step; closed ones are made when they are opened. */
function stepSection(step, members, { job, state, open }) {
  const best = members.toSorted((a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity));
  const content = h("div", { class: "samples" });
  const element = h("details", { class: "card step-section", open }, h("summary", {}, h("h2", {}, step === 0 ? "Before training" : `Step ${step}`), h("span", { class: "small muted" }, `${members.length} ${members.length === 1 ? "sample" : "samples"}, mean reward ${figure(summary(step, members).y)}`)), content);
  const fill = () => element.open && !content.childElementCount && content.append(...best.map((rollout) => sampleCard(rollout, { job, colour: state.colour })));
  element.addEventListener("toggle", fill);
  if (open) fill();
  return element;
}
