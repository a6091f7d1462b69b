// A job's latest figures, large enough to read across a room.

import { h, replace } from "../../lib/dom.js";
import { duration, figure } from "../../lib/format.js";
import { signed } from "../rollouts/sample.js";

/** The row; `show(steps)` brings it up to date, with the metrics of all steps in order. */
export function figureRow() {
  const element = h("dl", { class: "card figures" });
  element.show = (steps) => {
    const values = (pick) => steps.map(pick).filter((value) => value !== null && value !== undefined);
    const valid = values((step) => step.full_valid_mean_reward);
    element.hidden = !steps.length;
    replace(
      element,
      one("Train reward", figure(values((step) => step.train_mean_reward).at(-1))),
      one("Validation reward", figure(valid.at(-1))),
      one("Change of validation", valid.length > 1 ? signed(valid.at(-1) - valid[0]) : "–"),
      one("Tokens an answer", figure(values((step) => step.completion_tokens_mean).at(-1), 1)),
      one("Last step took", duration(values((step) => step.timing?.step?.full_iteration).at(-1))),
    );
  };
  return element;
}

function one(label, value) {
  return h("div", {}, h("dt", { class: "label" }, label), h("dd", { class: "value" }, value));
}
