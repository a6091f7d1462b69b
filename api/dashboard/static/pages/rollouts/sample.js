// One sample of a group: its text, its reward, and what each grader gave.

import { badge, inRow, linkButton } from "../../lib/components.js";
import { h } from "../../lib/dom.js";
import { count, figure } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { completion } from "./tokens.js";

const ENDS = { length: "cut off at its limit", stop: null };

/** `highlight` marks the sample that an address names. */
export function sampleCard(rollout, { job, colour = false, highlight = false, heading = `Sample ${rollout.sample}` }) {
  return h(
    "article",
    { class: `card sample ${highlight ? "chosen" : ""}`, "data-rollout": rollout.id, "aria-label": heading },
    h("header", {}, h("h3", {}, heading), reward(rollout)),
    rewardBar(rollout),
    h(
      "p",
      { class: "row small muted told" },
      rollout.split !== "valid" && h("span", {}, "Advantage ", h("strong", { class: "num" }, signed(rollout.advantage))),
      h("span", {}, h("strong", { class: "num" }, count(rollout.completion_tokens)), " tokens"),
      ENDS[rollout.stop_reason] && h("span", { class: "warn-text" }, ENDS[rollout.stop_reason]),
    ),
    completion(rollout, { colour }),
    rollout.error_kind && failure(rollout.error_kind, rollout.error_details),
    parts(rollout.parts),
    inRow(linkButton("Try graders on it", href("/graders", { job: job.id, rollout: rollout.id }), { kind: "quiet" })),
  );
}

/** A number with its sign; a dash of nothing. */
export function signed(value) {
  if (value === null || value === undefined) return "–";
  return `${value > 0 ? "+" : ""}${figure(value)}`;
}

export function reward(rollout) {
  return rollout.reward === null ? badge(rollout.error_kind ? words(rollout.error_kind) : "no reward", "bad") : h("span", { class: "reward num" }, figure(rollout.reward));
}

export function words(kind) {
  return kind.replaceAll("_", " ");
}

/** Rewards of most graders lie between 0 and 1: of those the share is drawn, of others nothing. */
export function rewardBar({ reward: value }) {
  if (value === null || value < 0 || value > 1) return null;
  return h("div", { class: "reward-bar", "aria-hidden": "true", vars: { "--share": 100 * value } }, h("span"));
}

/** Why a sample has no reward. */
export function failure(kind, details) {
  return h("div", { class: "failure" }, h("strong", {}, `Not graded: ${words(kind)}`), details && h("pre", { tabindex: 0 }, details));
}

function parts(graded) {
  const entries = Object.entries(graded ?? {});
  if (!entries.length) return null;
  return h(
    "table",
    { class: "parts" },
    h("caption", { class: "visually-hidden" }, "What each grader gave"),
    h("thead", { class: "visually-hidden" }, h("tr", {}, h("th", { scope: "col" }, "Grader"), h("th", { scope: "col" }, "Reward"))),
    h("tbody", {}, entries.map(([name, part]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, part.error ? h("span", { class: "bad-text" }, words(part.error)) : h("span", { class: "num" }, figure(part.reward)), part.details && h("p", { class: "small muted wrap" }, part.details))))),
  );
}
