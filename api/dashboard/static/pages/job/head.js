// What a job is, how far it is, and the buttons that steer it.

import { post } from "../../lib/api.js";
import { button, confirm, inRow, linkButton, note, progress, statusBadge, time, toast } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { duration } from "../../lib/format.js";
import { every } from "../../lib/live.js";
import { href } from "../../lib/router.js";

const CAN_PAUSE = ["validating_files", "queued", "running"];
const CAN_CANCEL = [...CAN_PAUSE, "paused"];

/** The head of a job's page; `show(job, { step, total })` brings it up to date. */
export function jobHead(job, { signal, step, total }) {
  const element = h("div", { class: "stack job-head" });
  const connection = h("span", { class: "small muted", role: "status" });
  let at = { step, total };

  async function command(name) {
    element.show(await post(`/fine_tuning/jobs/${encodeURIComponent(job.id)}/${name}`), at);
    toast("good", { pause: "The job is paused", resume: "The job goes on", cancel: "The job is cancelled" }[name]);
  }
  async function pause() {
    const yes = await confirm("Pause this job?", "It keeps what it has learned and can be resumed at any time. The step under way is finished first.", { yes: "Pause the job" });
    if (yes) await command("pause");
  }
  async function cancel() {
    const yes = await confirm("Cancel this job?", "This cannot be undone: a cancelled job cannot be resumed. Its checkpoints stay, and can be downloaded.", { yes: "Cancel the job", danger: true });
    if (yes) await command("cancel");
  }

  function draw() {
    replace(
      element,
      h(
        "div",
        { class: "page-head" },
        h(
          "div",
          {},
          h("h1", {}, job.user_provided_suffix ?? job.id, statusBadge(job.status)),
          h("div", { class: "facts-line" }, h("span", { class: "mono" }, job.id), h("span", {}, job.model), h("span", {}, "created ", time(job.created_at)), job.finished_at && h("span", {}, "ended ", time(job.finished_at)), connection),
        ),
        inRow(
          linkButton("Rollouts", href(`/jobs/${job.id}/rollouts`)),
          job.fine_tuned_model && linkButton("Chat with it", href("/chat", { model: job.fine_tuned_model }), { kind: "primary", icon: "chat" }),
          job.status === "paused" && button("Resume", () => command("resume"), { kind: "primary" }),
          CAN_PAUSE.includes(job.status) && button("Pause", pause),
          CAN_CANCEL.includes(job.status) && button("Cancel", cancel, { kind: "danger" }),
        ),
      ),
      explanation(job),
      at.total && h("div", { class: "job-progress" }, progress(at.step / at.total, `Step ${at.step} of ${at.total}`), h("p", { class: "small muted num" }, `Step ${at.step} of ${at.total}`, timeLeft(job))),
    );
  }

  element.show = (now, where) => {
    job = now;
    at = { step: where.step ?? at.step, total: where.total ?? at.total };
    draw();
  };
  element.showConnection = (state) => {
    connection.textContent = { live: "● live", waiting: "○ connecting…", ended: "" }[state];
  };
  every(5, async () => job.status === "running" && !element.contains(document.activeElement) && draw(), signal);
  draw();
  return element;
}

function timeLeft(job) {
  if (job.status !== "running" || !job.estimated_finish) return "";
  return ` · about ${duration(Math.max(0, job.estimated_finish - Date.now() / 1000))} left`;
}

/** What the status means and what to do about it. */
function explanation(job) {
  const { status, error } = job;
  if (status === "failed") return note("bad", "The job failed", h("p", { class: "wrap" }, error?.message ?? "No reason was kept."), advice(error));
  if (status === "paused" && error?.message) return note("warn", "The job is paused", h("p", { class: "wrap" }, error.message));
  if (status === "paused") return note("warn", "The job is paused", "It keeps its place. Resume goes on from the last finished step; the history below says why it stopped, where it stopped by itself.");
  if (status === "queued") return note("info", "Waiting for a worker", "It starts as soon as the jobs before it are done. Where none is running, look whether a worker is: rft serve starts one.");
  if (status === "validating_files") return note("info", "The files are being checked", "This takes seconds for most files.");
  return null;
}

function advice(error) {
  const param = error?.param ?? "";
  if (param.includes("file")) return h("p", {}, "Correct the file and upload it again, then create a new job. ", h("a", { href: href("/files") }, "To the files"));
  if (param.includes("grader") || error?.code?.includes("grader")) return h("p", {}, "Try the grader out on a pasted answer first. ", h("a", { href: href("/graders") }, "To the grader playground"));
  return h("p", {}, "The history below tells what happened before. Checkpoints made until then can still be used.");
}
