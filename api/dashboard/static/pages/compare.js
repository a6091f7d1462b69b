// Curves of several jobs on one chart.

import { all, get } from "../lib/api.js";
import { card, checkbox, empty, field, input, inStack, linkButton, pageHead, select, statusBadge, table, toastError } from "../lib/components.js";
import { chart, plotly, smoothed } from "../lib/chart.js";
import { debounced, h, replace } from "../lib/dom.js";
import { figure } from "../lib/format.js";
import { every } from "../lib/live.js";
import { href, setQuery } from "../lib/router.js";

export const title = "Compare";

const MOST = 8;
const MAX_POINTS = 800;
const REFRESH_SECONDS = 30;
const METRICS = {
  full_valid_mean_reward: ["Validation reward", (step) => step.full_valid_mean_reward],
  train_mean_reward: ["Training reward", (step) => step.train_mean_reward],
  completion_tokens_mean: ["Completion length, tokens", (step) => step.completion_tokens_mean],
  kl: ["KL to the reference policy", (step) => step.touchstone?.update?.kl],
  entropy: ["Entropy", (step) => step.touchstone?.update?.entropy],
  grad_norm: ["Gradient norm", (step) => step.touchstone?.update?.grad_norm],
};

export async function open({ root, query, signal }) {
  const jobs = (await all("/fine_tuning/jobs", { signal, most: 300 })).filter((job) => job.status !== "validating_files");
  root.append(pageHead("Compare", "Several jobs on one chart: what another grader, another model or another learning rate did to the curve."));
  if (!jobs.length) {
    root.append(empty("No jobs to compare yet", "Create a job, then another with something changed. Their curves stand here on one chart.", linkButton("Create a job", href("/jobs/new"), { kind: "primary" })));
    return;
  }
  plotly();
  const asked = (query.get("jobs") ?? "").split(",").filter((id) => jobs.some((job) => job.id === id));
  const chosen = new Set(asked.length ? asked : jobs.slice(0, 3).map((job) => job.id));
  const curves = new Map();
  const metric = select(Object.entries(METRICS).map(([key, [label]]) => [key, label]), { value: query.get("metric") in METRICS ? query.get("metric") : "full_valid_mean_reward" });
  const weight = h("input", { type: "range", min: 0, max: 0.95, step: 0.05, props: { value: query.get("smooth") ?? 0 } });
  const graph = chart({ title: "Curves", level: 2, large: true, signal, file: "compare", nothing: "None of the chosen jobs has this figure yet." });
  const figures = h("div");
  const picker = jobPicker(jobs, chosen, changed);

  async function fetchCurve(id) {
    curves.set(id, (await get(`/fine_tuning/jobs/${id}/metrics`, { query: { max_points: MAX_POINTS }, signal })).data);
  }
  async function changed() {
    setQuery({ jobs: [...chosen].join(",") });
    await Promise.all([...chosen].filter((id) => !curves.has(id)).map(fetchCurve));
    draw();
  }
  function draw() {
    const [label, value] = METRICS[metric.value];
    const picked = [...chosen].map((id) => jobs.find((job) => job.id === id));
    graph.querySelector("h2").textContent = label;
    graph.update(picked.flatMap((job, index) => lines(job, index, curves.get(job.id) ?? [], value, Number(weight.value))));
    replace(figures, summary(picked, curves));
  }
  metric.addEventListener("change", () => {
    setQuery({ metric: metric.value });
    draw();
  });
  weight.addEventListener("input", () => {
    setQuery({ smooth: Number(weight.value) || null });
    draw();
  });
  root.append(h("div", { class: "compare" }, picker, inStack(card(null, {}, inStack(h("div", { class: "fields" }, field("Figure", metric), field("Smoothing", weight)), graph)), card("At a glance", {}, figures))));
  await changed();
  const live = () => [...chosen].filter((id) => ["running", "queued"].includes(jobs.find((job) => job.id === id).status)).slice(0, 2);
  every(REFRESH_SECONDS, async () => {
    const ids = live();
    if (!ids.length) return;
    await Promise.all(ids.map(fetchCurve));
    draw();
  }, signal);
}

function lines(job, index, steps, value, weight) {
  const points = steps.map((step) => ({ x: step.step, y: value(step) })).filter((point) => point.y !== null && point.y !== undefined);
  const line = { name: named(job), color: `--series-${index + 1}`, points, markers: points.length < 60 };
  return weight ? [{ ...line, faint: true, markers: false }, { ...line, points: smoothed(points, weight), markers: false }] : [line];
}

function named(job) {
  return job.user_provided_suffix ? `${job.user_provided_suffix} (${job.id.slice(-4)})` : job.id;
}

function jobPicker(jobs, chosen, changed) {
  const search = input({ type: "search", placeholder: "Name, model or status", "aria-label": "Find jobs" });
  const list = h("div", { class: "stack job-picks" });
  const told = h("p", { class: "small muted", role: "status" });
  function draw() {
    const text = search.value.trim().toLowerCase();
    told.textContent = `${chosen.size} chosen, ${MOST} at most`;
    replace(list, jobs.filter((job) => `${job.id} ${job.user_provided_suffix} ${job.model} ${job.status}`.toLowerCase().includes(text)).slice(0, 100).map(pick));
  }
  function pick(job) {
    const box = checkbox(named(job), { checked: chosen.has(job.id), disabled: !chosen.has(job.id) && chosen.size >= MOST });
    box.control.addEventListener("change", () => {
      if (box.control.checked) chosen.add(job.id);
      else chosen.delete(job.id);
      told.textContent = `${chosen.size} chosen, ${MOST} at most`;
      if (chosen.size >= MOST - 1) draw();
      changed().catch(toastError);
    });
    return h("div", { class: "job-pick" }, box, h("p", { class: "row small muted" }, job.model, statusBadge(job.status)));
  }
  search.addEventListener("input", debounced(150, draw));
  draw();
  return card("Jobs", { class: "picker" }, inStack(search, told, list));
}

function summary(jobs, curves) {
  const of = (job, pick) => (curves.get(job.id) ?? []).map(pick).filter((value) => value !== null && value !== undefined);
  const rewards = (job) => of(job, METRICS.full_valid_mean_reward[1]);
  return table(
    [
      ["Job", (job) => h("a", { href: href(`/jobs/${job.id}`) }, named(job))],
      ["Model", (job) => job.model],
      ["Status", (job) => statusBadge(job.status)],
      ["Before", (job) => figure(rewards(job)[0]), { class: "right num" }],
      ["Best", (job) => figure(rewards(job).length ? Math.max(...rewards(job)) : null), { class: "right num" }],
      ["Last", (job) => figure(rewards(job).at(-1)), { class: "right num" }],
      ["Steps", (job) => of(job, (step) => step.step).at(-1) ?? "–", { class: "right num" }],
    ],
    jobs,
    { caption: "Validation rewards of the chosen jobs" },
  );
}
