// A job's kept samples graded by what stands in the editor, beside the grades they have.

import { get, send } from "../../lib/api.js";
import { badge, card, empty, errorNote, facts, field, inRow, inStack, note, progress, select, table, toast } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { eventsOf } from "../../lib/event-stream.js";
import { count, figure, percent } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { shortPrompt } from "../rollouts/prompt.js";
import { signed, words } from "../rollouts/sample.js";

export function regradeCard({ jobs, editor, signal, query, onJob }) {
  const job = select([["", "Choose a job…"], ...jobs.map((each) => [each.id, `${each.user_provided_suffix ?? each.id} (${each.status})`])], { value: "" });
  const sampled = select([], {});
  const result = inStack();
  const go = h("button", { type: "button", class: "button primary", on: { click: start } }, "Grade again");
  let own = null;

  async function chosen(step = null, split = null) {
    replace(sampled);
    if (!job.value) return;
    const steps = (await get(`/fine_tuning/jobs/${job.value}/rollouts/steps`, { signal })).data.toReversed();
    replace(sampled, steps.map((each) => h("option", { value: `${each.split} ${each.step}` }, `Step ${each.step}, ${each.split === "train" ? "training" : "validation"} (${each.samples} samples)`)));
    if (step !== null) sampled.value = `${split ?? "train"} ${step}`;
    if (!sampled.value && steps.length) sampled.selectedIndex = 0;
    if (!steps.length) replace(result, empty("Nothing to grade yet", "This job has not kept any samples."));
  }
  async function start() {
    if (own) return own.abort();
    if (!job.value || !sampled.value) return toast("warn", "Choose a job and a step", "Their kept samples are what is graded.");
    const [split, step] = sampled.value.split(" ");
    own = new AbortController();
    const stop = () => own?.abort();
    signal.addEventListener("abort", stop);
    go.textContent = "Stop";
    try {
      await run({ grader: editor.value(), split, step: Number(step), top: 20, stream: true }, own.signal);
    } catch (error) {
      if (error.name === "AbortError") replace(result, h("p", { class: "muted" }, "Stopped."));
      else replace(result, errorNote(error));
    } finally {
      signal.removeEventListener("abort", stop);
      own = null;
      go.textContent = "Grade again";
    }
  }
  async function run(body, stop) {
    replace(result, progress(0, "Grading"));
    const reply = await send("POST", `/fine_tuning/jobs/${job.value}/regrade`, { body, signal: stop });
    for await (const event of eventsOf(reply)) {
      if (event.object === "fine_tuning.job.regrade.progress") replace(result, progress(event.graded / event.total, "Grading"), h("p", { class: "small muted num" }, `${count(event.graded)} of ${count(event.total)}`));
      else replace(result, reportView(event, job.value));
    }
  }
  job.addEventListener("change", async () => {
    onJob(jobs.find((each) => each.id === job.value) ?? null);
    replace(result);
    await chosen();
  });
  return {
    element: card("Hold it against a job", {}, inStack(h("p", { class: "muted small" }, "Kept samples are graded with what stands in the editor. Nothing in the job changes."), h("div", { class: "fields" }, field("Job", job), field("Samples", sampled)), inRow(go), result)),
    choose: (each) => {
      job.value = each.id;
      const [split, step] = query.get("rollout")?.split("-") ?? [query.get("split"), query.get("step")];
      return chosen(step, split);
    },
  };
}

function reportView(report, jobId) {
  const { before, after } = report;
  const sides = [
    ["Mean reward", figure(before.reward_mean), figure(after.reward_mean)],
    ["Graded samples", count(before.graded), count(after.graded)],
    ["Groups that can train (with spread)", count(before.groups_with_spread), count(after.groups_with_spread)],
    ...[...new Set([...Object.keys(before.errors), ...Object.keys(after.errors)])].map((kind) => [words(kind), count(before.errors[kind] ?? 0), count(after.errors[kind] ?? 0)]),
  ];
  return h(
    "div",
    { class: "stack", role: "region", "aria-label": "Comparison of both graders" },
    verdict(report),
    table([["", ([name]) => name], ["In the job", ([, value]) => value, { class: "right num" }], ["This grader", ([, , value]) => value, { class: "right num" }]], sides, { caption: "Both graders", stays: true }),
    facts([["Same reward", percent(report.same_reward)], ["Same order within groups", percent(report.same_order)], ["Kendall's tau", report.kendall_tau === null ? "no group has spread in both" : `${figure(report.kendall_tau)} (mean of ${count(report.ranked_groups)} groups)`]]),
    report.changed.length > 0 && samples("Changed most", report.changed, jobId, report.split),
    report.failed.length > 0 && samples("Not graded by this grader", report.failed, jobId, report.split),
  );
}

function verdict({ same_reward: same, same_order: order, after, groups }) {
  if (same === 1) return note("good", "No reward changes", "On these samples both graders are the same.");
  if (after.groups_with_spread === 0) return note("bad", "Nothing to learn", "This grader gives every sample of a group the same reward: training would stand still.");
  if (order === 1) return note("info", "Other rewards, same order", "Within every group the samples keep their order. Training follows differences within groups, so it would go much the same way.");
  return note("warn", "Another order", `${percent(1 - (order ?? 0))} of the pairs within groups change their order, and ${count(after.groups_with_spread)} of ${count(groups)} groups can train.`);
}

function samples(title, rows, jobId, split) {
  return inStack(
    h("h3", {}, title),
    table(
      [
        ["Sample", (row) => h("a", { href: href(`/jobs/${jobId}/rollouts`, { step: row.step, split: split === "train" ? null : split, prompt: row.example, sample: row.sample }) }, `${row.example}.${row.sample}`)],
        ["Text", (row) => h("div", { class: "stack tight" }, h("span", { class: "small muted" }, shortPrompt(row.prompt).slice(0, 160)), h("span", { class: "wrap" }, row.completion), row.error && h("span", { class: "bad-text small wrap" }, `${words(row.error.kind)}: ${row.error.details}`))],
        ["In the job", (row) => figure(row.reward_before), { class: "right num" }],
        ["Now", (row) => (row.error ? badge("failed", "bad") : figure(row.reward_after)), { class: "right num" }],
        ["Change", (row) => (row.error || row.reward_before === null ? "–" : signed(row.reward_after - row.reward_before)), { class: "right num" }],
      ],
      rows,
      { caption: title },
    ),
  );
}
