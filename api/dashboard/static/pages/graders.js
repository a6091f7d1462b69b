// A place to write graders: checked while they are written, tried on a text, and held against what a job has kept.

import { all, post } from "../lib/api.js";
import { badge, button, card, errorNote, field, inRow, inStack, note, pageHead, select, textarea, toast } from "../lib/components.js";
import { h, replace } from "../lib/dom.js";
import { download } from "../lib/chart.js";
import { figure } from "../lib/format.js";
import { setQuery } from "../lib/router.js";
import { graderEditor } from "./new/grader.js";
import { programEditor } from "./graders/program.js";
import { regradeCard } from "./graders/regrade.js";
import { itemOf } from "./rollouts/prompt.js";
import { words } from "./rollouts/sample.js";

export const title = "Graders";

const MASK = "**********";

export async function open({ root, query, signal }) {
  const jobs = await all("/fine_tuning/jobs", { signal, most: 300 });
  const editor = graderEditor({ signal, onChange: (grader) => program.follow(grader) });
  const program = programEditor(editor);
  const state = { job: jobs.find((job) => job.id === query.get("job")) ?? null };
  const trial = trialCard(editor, signal);
  const regrade = regradeCard({ jobs, editor, signal, query, onJob: chooseJob });
  root.append(
    pageHead("Grader playground", "Write a grader, try it on a text, and see what it would have changed in a job, before paying for a run."),
    h("div", { class: "playground" }, card("Grader", { aside: sourceOf(jobs, query, loadFrom, editor) }, inStack(editor, program)), inStack(trial.element, regrade.element)),
  );

  function chooseJob(job) {
    state.job = job;
    setQuery({ job: job?.id ?? null, rollout: null });
  }
  function loadFrom(job) {
    const { grader } = job.method.reinforcement;
    editor.set(grader);
    if (JSON.stringify(grader).includes(MASK)) toast("warn", "A secret is hidden", "Headers and signing secrets are never shown again. Write them in before you try this grader.");
    chooseJob(job);
    regrade.choose(job);
  }
  if (state.job) {
    loadFrom(state.job);
    if (query.get("rollout")) await loadRollout(state.job, query.get("rollout"), trial, signal);
    setQuery({ job: state.job.id, rollout: query.get("rollout") });
  }
}

/** A select that fills the editor with a job's grader, and a way to save what stands there. */
function sourceOf(jobs, query, loadFrom, editor) {
  const choice = select([["", "Take over a job's grader…"], ...jobs.map((job) => [job.id, `${job.user_provided_suffix ?? job.id} (${job.status})`])], { value: query.get("job") ?? "", "aria-label": "Take over a job's grader" });
  choice.addEventListener("change", () => choice.value && loadFrom(jobs.find((job) => job.id === choice.value)));
  return [choice, button("Save", () => download("grader.json", "application/json", `${JSON.stringify(editor.value(), null, 2)}\n`), { kind: "quiet", title: "Save the grader as a file, for rft jobs submit and rft graders" })];
}

/** Put a kept rollout's answer and its row into the trial. */
async function loadRollout(job, id, trial, signal) {
  const [split, step, , example] = id.split("-");
  const [item, found] = await Promise.all([
    itemOf(job, split, Number(example), signal),
    all(`/fine_tuning/jobs/${job.id}/rollouts`, { query: { step, split, example }, signal }),
  ]);
  const rollout = found.find((each) => each.id === id);
  if (rollout) trial.set(rollout.completion, item ?? {}, rollout);
}

/** One text and one row: the grade, its parts and its errors. */
function trialCard(editor, signal) {
  const answer = textarea({ rows: 5, value: "The answer is 4." });
  const item = textarea({ rows: 4, code: true, value: JSON.stringify({ answer: "4" }, null, 2) });
  const itemField = field("Row of the data file, as JSON", item, { hint: "Templates read it as {{item.…}}, python graders as item." });
  const result = h("div", { "aria-live": "polite" });
  let kept = null;
  async function run() {
    itemField.setError(null);
    let row;
    try {
      row = item.value.trim() ? JSON.parse(item.value) : {};
    } catch (error) {
      itemField.setError(`This is no JSON: ${error.message}`);
      return item.focus();
    }
    try {
      replace(result, gradeView(await post("/fine_tuning/alpha/graders/run", { grader: editor.value(), model_sample: answer.value, item: row }, { signal }), kept));
    } catch (error) {
      if (error.name !== "AbortError") replace(result, errorNote(error));
    }
  }
  for (const control of [answer, item]) control.addEventListener("input", () => (kept = null));
  return {
    element: card("Try it on a text", {}, inStack(field("What the model wrote", answer), itemField, inRow(button("Grade", run, { kind: "primary" })), result)),
    set: (text, row, rollout) => {
      answer.value = text;
      item.value = JSON.stringify(row, null, 2);
      kept = rollout;
      replace(result, note("info", "A kept sample", `Sample ${rollout.sample} of prompt ${rollout.example}, step ${rollout.step}. In the job it got ${rollout.reward === null ? words(rollout.error_kind ?? "no reward") : figure(rollout.reward)}.`));
    },
  };
}

function gradeView({ reward, metadata, sub_rewards: parts }, kept) {
  const failures = Object.entries(metadata.errors ?? {}).filter(([, value]) => value);
  const failed = failures.some(([, value]) => value === true);
  return h(
    "div",
    { class: "grade" },
    inRow(failed ? badge("not graded", "bad") : h("span", { class: "reward num large" }, figure(reward)), kept && !failed && kept.reward !== null && h("span", { class: "muted" }, `in the job ${figure(kept.reward)}`), h("span", { class: "small muted" }, `${Number(metadata.execution_time).toFixed(3)} s`)),
    failures.map(([name, value]) => h("p", { class: "bad-text wrap" }, value === true ? words(name) : `${words(name)}: ${value}`)),
    Object.keys(parts ?? {}).length > 0 && h("table", { class: "parts" }, h("caption", { class: "visually-hidden" }, "What each part gave"), h("tbody", {}, Object.entries(parts).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "num" }, value === null ? h("span", { class: "bad-text" }, "failed") : figure(value)))))),
    Object.keys(metadata.scores ?? {}).length > 0 && h("details", {}, h("summary", { class: "small" }, "Scores"), h("pre", { class: "small" }, JSON.stringify(metadata.scores, null, 2))),
  );
}
