// What a job was asked for, with every number as it was resolved.

import { get } from "../../lib/api.js";
import { card, facts, inStack } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { duration } from "../../lib/format.js";
import { href } from "../../lib/router.js";

/** The card; `show(job)` brings it up to date. */
export function settingsCard(job, { signal }) {
  const body = inStack();
  const names = new Map();
  const element = card("Settings", {}, body);
  let shown = null;

  function draw() {
    const { hyperparameters, grader, response_format: format } = job.method.reinforcement;
    replace(
      body,
      facts([
        ["Training file", file(job.training_file)],
        ["Validation file", job.validation_file && file(job.validation_file)],
        ["Seed", job.seed],
        ["Training time", job.usage_metrics && duration(job.usage_metrics.train_seconds)],
        ["Tuned model", job.fine_tuned_model && h("code", {}, job.fine_tuned_model)],
        ...Object.entries(job.metadata ?? {}).map(([name, value]) => [`metadata: ${name}`, value]),
      ]),
      h("h3", {}, "Hyperparameters"),
      facts(Object.entries(hyperparameters).map(([name, value]) => [name, written(value)])),
      job.touchstone && [h("h3", {}, "Touchstone's options"), facts(Object.entries(job.touchstone).map(([name, value]) => [name, written(value)]))],
      h("details", {}, h("summary", {}, "Grader"), h("pre", {}, JSON.stringify(grader, null, 2)), h("p", {}, h("a", { href: href("/graders", { job: job.id }) }, "Try it out in the playground"))),
      format && h("details", {}, h("summary", {}, "Response format"), h("pre", {}, JSON.stringify(format, null, 2))),
    );
  }
  function file(id) {
    return h("a", { href: href("/files", { file: id }) }, names.get(id) ?? id);
  }
  async function load() {
    for (const id of [job.training_file, job.validation_file].filter(Boolean)) {
      try {
        names.set(id, (await get(`/files/${encodeURIComponent(id)}`, { signal })).filename);
      } catch (error) {
        if (error.name === "AbortError") return;
        names.set(id, `${id} (deleted)`);
      }
    }
    draw();
  }
  element.show = (now) => {
    const state = JSON.stringify([now.status, now.method, now.touchstone, now.fine_tuned_model]);
    job = now;
    if (state !== shown) draw();
    shown = state;
  };
  draw();
  load();
  return element;
}

function written(value) {
  return value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
}
