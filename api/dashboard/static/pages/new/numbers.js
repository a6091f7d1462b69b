// Hyperparameters: empty means `auto`, and the placeholder says what that is.

import { field, input, select } from "../../lib/components.js";
import { h } from "../../lib/dom.js";

/** [name, what it is, choices]; without choices it is a number. A dot in a name leads into an object. */
export const HYPERPARAMETERS = [
  ["n_epochs", "Passes over the training file."],
  ["batch_size", "Prompts of one step."],
  ["learning_rate_multiplier", "Scales the learning rate."],
  ["compute_multiplier", "Scales the samples of a prompt."],
  ["eval_interval", "Steps between validations."],
  ["eval_samples", "Answers to a validation prompt."],
  ["reasoning_effort", "How much the model may think.", ["low", "medium", "high"]],
];
export const OPTIONS = [
  ["samples_per_prompt", "Answers to a training prompt: the group."],
  ["max_completion_tokens", "Longest answer."],
  ["temperature", "Of sampling."],
  ["top_p", "Of sampling."],
  ["learning_rate", "Before the multiplier."],
  ["kl_coef", "Pull towards the reference policy."],
  ["inner_epochs", "Updates on the same samples."],
  ["loss", "The policy's loss.", ["grpo", "dr_grpo", "rloo", "gspo", "cispo", "ppo"]],
  ["overlong", "Answers that are cut off.", ["keep", "mask", "penalize"]],
  ["failed_sample", "How means count ungraded samples.", ["minus_one", "zero", "exclude"]],
  ["grader_error_limit", "Share of failures at which the job pauses."],
  ["final_checkpoint", "Which one the model's name stands for.", ["best", "last"]],
  ["budget_seconds", "Pauses the job after this time."],
  ["dynamic_sampling.max_rounds", "How often a step replaces groups whose rewards are all the same."],
  ["max_staleness", "1 samples the next step while the policy is updated."],
];

/** The fields: `values()` what is filled in, `resolved(numbers)` shows what the rest comes to. */
export function numbers(specs, onChange) {
  const fields = new Map(specs.map(([name, hint, choices]) => [name, field(name, control(name, choices), { hint })]));
  const element = h("div", { class: "fields" }, [...fields.values()]);
  const controlOf = (name) => fields.get(name).querySelector(".input");
  element.values = () => {
    const filled = {};
    for (const [name, , choices] of specs) {
      const text = controlOf(name).value.trim();
      // What is no number goes to the service as it stands, whose answer says what is wrong with it.
      if (text) put(filled, name.split("."), choices || Number.isNaN(Number(text)) ? text : Number(text));
    }
    return filled;
  };
  element.resolved = (values) => {
    for (const [name, , choices] of specs) {
      const value = name.split(".").reduce((inner, key) => inner?.[key], values);
      if (choices) controlOf(name).options[0].textContent = `default (${value})`;
      else controlOf(name).placeholder = value === null || value === undefined ? "none" : `auto (${value})`;
    }
  };
  /** The field that an error's `param` means, if it is one of these. */
  element.named = (param) => [...fields.keys()].find((name) => `.${param}`.endsWith(`.${name}`));
  element.setError = (text, wrong) => {
    for (const [name, each] of fields) each.setError(name === wrong ? text : null);
  };
  element.addEventListener("input", onChange);
  return element;
}

function put(object, [key, ...inner], value) {
  if (!inner.length) object[key] = value;
  else put((object[key] ??= {}), inner, value);
}

function control(name, choices) {
  if (choices) return select([["", "default"], ...choices.map((choice) => [choice, choice])], { name });
  return input({ name, inputmode: "decimal", placeholder: "auto" });
}
