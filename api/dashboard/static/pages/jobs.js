// All jobs: what they are at, how far, and where their reward goes.

import { conditional, get } from "../lib/api.js";
import { button, empty, explained, field, input, inRow, inStack, linkButton, loading, pageHead, progress, select, statusBadge, time } from "../lib/components.js";
import { debounced, h, replace } from "../lib/dom.js";
import { duration, figure } from "../lib/format.js";
import { every } from "../lib/live.js";
import { href, setQuery } from "../lib/router.js";
import { sparkline } from "../lib/sparkline.js";

export const title = "Jobs";

const REFRESH_SECONDS = 15;
const PAGE = 20;
const STATUSES = [["", "Any status"], ["running", "Running"], ["queued", "Queued"], ["validating_files", "Validating files"], ["paused", "Paused"], ["succeeded", "Succeeded"], ["failed", "Failed"], ["cancelled", "Cancelled"]];
const HEADINGS = ["Job", "Status", "Progress", "Train", "Validation", "Reward", "Created"];

export async function open({ root, query, signal }) {
  const filter = { search: query.get("search") ?? "", status: query.get("status") ?? "" };
  const search = input({ type: "search", placeholder: "Id, model, suffix, metadata", props: { value: filter.search } });
  const status = select(STATUSES, { value: filter.status });
  const list = inStack(loading());
  let jobs = [];
  let hasMore = false;
  let question = conditional("/fine_tuning/overview", wanted());

  function wanted(after = null) {
    return { limit: PAGE, search: filter.search, status: filter.status, after };
  }

  async function refresh() {
    await explained(list, async () => {
      const page = await question.next(signal);
      if (!page) return draw();
      const known = new Set(page.data.map((job) => job.id));
      const older = jobs.filter((job) => !known.has(job.id) && jobs.indexOf(job) >= PAGE);
      if (!older.length) hasMore = page.has_more;
      jobs = [...page.data, ...older];
      draw();
    }, refresh);
  }

  async function more() {
    const page = await get("/fine_tuning/overview", { query: wanted(jobs.at(-1).id), signal });
    jobs = [...jobs, ...page.data];
    hasMore = page.has_more;
    draw();
  }

  function draw() {
    if (jobs.length) replace(list, jobTable(jobs), hasMore && inRow(button("Show older jobs", more)));
    else replace(list, filter.search || filter.status ? nothingFound() : noJobs());
  }

  async function filtered() {
    Object.assign(filter, { search: search.value.trim(), status: status.value });
    setQuery(filter);
    question = conditional("/fine_tuning/overview", wanted());
    jobs = [];
    await refresh();
  }
  search.addEventListener("input", debounced(250, filtered));
  status.addEventListener("change", filtered);

  root.append(
    pageHead("Jobs", "Reinforcement fine-tuning runs of this project, newest first.", linkButton("New job", href("/jobs/new"), { kind: "primary", icon: "plus" })),
    h("div", { class: "filters", role: "search" }, field("Search", search), field("Status", status)),
    list,
  );
  await refresh();
  every(REFRESH_SECONDS, refresh, signal);
}

function jobTable(jobs) {
  return h(
    "div",
    { class: "card flush" },
    h(
      "table",
      { class: "jobs" },
      h("caption", { class: "visually-hidden" }, "Jobs, newest first"),
      h("thead", {}, h("tr", {}, HEADINGS.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, jobs.map(row)),
    ),
  );
}

function row(job) {
  const { progress: at } = job;
  const cell = (name, attributes, ...children) => h("td", { "data-label": name, ...attributes }, children);
  return h(
    "tr",
    {},
    cell("Job", { class: "name" }, h("a", { class: "title", href: href(`/jobs/${job.id}`) }, job.user_provided_suffix ?? job.id), h("span", { class: "small muted" }, job.model)),
    cell("Status", {}, statusBadge(job.status)),
    cell("Progress", { class: "at" }, howFar(job)),
    cell("Train", { class: "num" }, figure(at.train_mean_reward)),
    cell("Validation", { class: "num" }, figure(at.full_valid_mean_reward)),
    cell("Reward", {}, at.curve ? sparkline(at.curve) : h("span", { class: "muted" }, "–")),
    cell("Created", { class: "small muted" }, time(job.created_at, { relative: true })),
  );
}

function howFar(job) {
  const { step, total_steps: total } = job.progress;
  if (!total) return h("span", { class: "small muted" }, "not started");
  const left = job.status === "running" && job.estimated_finish ? `, ${duration(Math.max(0, job.estimated_finish - Date.now() / 1000))} left` : "";
  return [progress(step / total, `Step ${step} of ${total}`), h("span", { class: "small muted num" }, `step ${step} of ${total}${left}`)];
}

function nothingFound() {
  return empty("No job fits", "Try another word or status. The search looks at ids, models, suffixes and metadata.");
}

function noJobs() {
  return empty(
    "No jobs yet",
    "A job lets a model answer your prompts many times, grades every answer with your grader, and teaches the model what was graded high. You need a file of prompts and a grader.",
    linkButton("Create the first job", href("/jobs/new"), { kind: "primary", icon: "plus" }),
    h("p", {}, "Or from Python, with the openai package:"),
    h("pre", {}, `client = OpenAI(base_url="${location.origin}/v1", api_key="…")\nclient.fine_tuning.jobs.create(model="…", training_file="file-…", method={"type": "reinforcement", …})`),
  );
}
