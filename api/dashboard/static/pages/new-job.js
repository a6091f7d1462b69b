// Creating a job: files, a grader that is checked while it is written, and numbers that say what `auto` means.

import { all, get, post } from "../lib/api.js";
import { button, card, errorNote, field, input, inRow, inStack, linkButton, note, pageHead, select, smallText } from "../lib/components.js";
import { debounced, h, replace } from "../lib/dom.js";
import { href, navigate } from "../lib/router.js";
import { filePicker } from "./new/files.js";
import { graderEditor } from "./new/grader.js";
import { HYPERPARAMETERS, numbers, OPTIONS } from "./new/numbers.js";

export const title = "New job";

export async function open({ root, signal }) {
  const [models, files] = await Promise.all([get("/models", { signal }), all("/files", { query: { purpose: "fine-tune" }, signal })]);
  const names = models.data.map((model) => model.id);
  const model = select(names, { required: true });
  const replan = debounced(400, plan);
  const training = filePicker("Training file", files, { required: true, onChange: replan, signal });
  const validation = filePicker("Validation file", files, { onChange: replan, signal, hint: "Measures what was learned, on prompts that are not trained on. Without it no checkpoint can be called the best." });
  const grader = graderEditor({ signal });
  const hyperparameters = numbers(HYPERPARAMETERS, replan);
  const options = numbers(OPTIONS, replan);
  const suffix = field("Suffix", input({ maxlength: 64, placeholder: "part of the model's name" }));
  const seed = field("Seed", input({ inputmode: "numeric", placeholder: "drawn by the service" }), { hint: "Same seed, same files: same run." });
  const summary = h("div", { role: "status" });
  const problem = h("div", {});

  async function plan() {
    if (!training.value) return replace(summary);
    const asked = { training_file: training.value, validation_file: validation.value || undefined, hyperparameters: hyperparameters.values(), touchstone: options.values() };
    try {
      const found = await post("/fine_tuning/plan", asked, { signal });
      hyperparameters.resolved(found.hyperparameters);
      options.resolved(found.touchstone);
      clearErrors();
      replace(summary, planned(found));
    } catch (error) {
      if (error.name !== "AbortError") showError(error, summary);
    }
  }

  function clearErrors() {
    for (const part of [training, validation, hyperparameters, options]) part.setError(null, null);
  }

  function showError(error, place) {
    clearErrors();
    const param = error.param ?? "";
    const owner = { training_file: training, validation_file: validation }[param] ?? [hyperparameters, options].find((each) => each.named(param));
    if (owner) owner.setError(error.message, owner.named?.(param));
    replace(place, errorNote(error));
  }

  async function create(event) {
    event.preventDefault();
    replace(problem);
    const body = {
      model: model.value,
      training_file: training.value,
      validation_file: validation.value || undefined,
      suffix: value(suffix) || undefined,
      seed: value(seed) ? Number(value(seed)) : undefined,
      method: { type: "reinforcement", reinforcement: { hyperparameters: hyperparameters.values() } },
      touchstone: options.values(),
    };
    submit.disabled = true;
    try {
      body.method.reinforcement.grader = grader.value();
      const job = await post("/fine_tuning/jobs", body, { signal });
      navigate(`/jobs/${job.id}`);
    } catch (error) {
      if (error.name !== "AbortError") showError(error, problem);
      problem.scrollIntoView({ block: "nearest" });
    } finally {
      submit.disabled = false;
    }
  }

  const submit = button("Create the job", null, { kind: "primary", type: "submit" });
  root.append(
    pageHead("New job", "The model answers each prompt several times; your grader scores the answers; what scores above the group's mean is made more likely."),
    h(
      "form",
      { class: "form", on: { submit: create }, novalidate: true },
      card("Model and data", {}, inStack(h("div", { class: "fields" }, field("Model", model, { hint: "A base model, or a tuned one to go on from." }), suffix, seed), h("div", { class: "two" }, training, validation))),
      card("Grader", {}, grader),
      card("Hyperparameters", {}, inStack(smallText("Left empty, a value is chosen by the size of the data: grey numbers show what that comes to."), hyperparameters, h("details", {}, h("summary", {}, "Touchstone's own options"), h("div", { class: "inset" }, options)))),
      summary,
      problem,
      inRow(submit, linkButton("Go back", href("/jobs"))),
    ),
  );
}

function value(fieldElement) {
  return fieldElement.querySelector("input").value.trim();
}

function planned(plan) {
  const bad = [...plan.problems.training_file.map((text) => `Training file: ${text}`), ...plan.problems.validation_file.map((text) => `Validation file: ${text}`)];
  if (bad.length) return note("bad", "The files need a correction", h("ul", {}, bad.map((text) => h("li", {}, text))));
  const samples = plan.hyperparameters.batch_size * plan.touchstone.samples_per_prompt;
  return note("info", "What this comes to", `${plan.total_steps} steps over ${plan.training_rows} prompts, ${samples} answers a step, ${plan.validation_rows ? `validated on ${plan.validation_rows} prompts every ${plan.hyperparameters.eval_interval} steps` : "without validation"}.`);
}
