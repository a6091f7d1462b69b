// One job: its curves as they grow, its history, its checkpoints, and what can be done with it.

import { get } from "../lib/api.js";
import { card, inStack } from "../lib/components.js";
import { chart, plotly, smoothed } from "../lib/chart.js";
import { CHARTS, rewardLines } from "../lib/curves.js";
import { h } from "../lib/dom.js";
import { follow } from "../lib/live.js";
import { navigate, setQuery } from "../lib/router.js";
import { checkpointCard } from "./job/checkpoints.js";
import { eventCard } from "./job/events.js";
import { figureRow } from "./job/figures.js";
import { jobHead } from "./job/head.js";
import { settingsCard } from "./job/settings.js";

export const title = "Job";

const MAX_POINTS = 400;
const REDRAW_MS = 600;
const ENDED = ["succeeded", "failed", "cancelled"];

export async function open({ root, params, query, signal, setTitle }) {
  const path = `/fine_tuning/jobs/${encodeURIComponent(params.id)}`;
  plotly();
  const [job, metrics] = await Promise.all([get(path, { signal }), get(`${path}/metrics`, { query: { max_points: MAX_POINTS }, signal })]);
  const steps = new Map(metrics.data.map((step) => [step.step, step]));
  const head = jobHead(job, { signal, step: metrics.step, total: metrics.data.at(-1)?.total_steps });
  const figures = figureRow();
  const charts = jobCharts(job, { signal, query });
  const checkpoints = checkpointCard(job.id, { signal });
  const events = eventCard(job.id, { signal });
  const settings = settingsCard(job, { signal });
  setTitle(job.user_provided_suffix ?? job.id);
  root.append(head, figures, charts, checkpoints, h("div", { class: "two" }, events, settings));
  show();

  function show() {
    const ordered = [...steps.values()].sort((a, b) => a.step - b.step);
    figures.show(ordered);
    charts.show(ordered);
  }
  let waiting = null;
  function redraw() {
    waiting ??= setTimeout(() => {
      waiting = null;
      if (!signal.aborted) show();
    }, REDRAW_MS);
  }
  follow(
    `${path}/stream`,
    {
      job: (now) => {
        head.show(now, { step: now.progress.step, total: now.progress.total_steps });
        settings.show(now);
        if (ENDED.includes(now.status)) checkpoints.load();
      },
      event: (event) => {
        events.add(event);
        if (event.type !== "metrics") return event.message.startsWith("Checkpoint created") ? checkpoints.load() : null;
        steps.set(event.data.step, event.data);
        return redraw();
      },
    },
    { signal, onState: head.showConnection },
  );
}

/** The reward chart with its tools, and all smaller charts, zoomed together. */
function jobCharts(job, { signal, query }) {
  let weight = Number(query.get("smooth") ?? 0);
  let steps = [];
  const all = [];
  const zoomed = (range) => all.forEach((each) => each.setRange(range));
  const toRollouts = ({ x, name }) => navigate(`/jobs/${job.id}/rollouts?step=${x}${name === "validation" ? "&split=valid" : ""}`);
  const file = (name) => `${job.id}-${name.toLowerCase().replaceAll(" ", "-")}`;
  const reward = chart({ title: "Reward", level: 2, large: true, signal, file: file("reward"), onRange: zoomed, onPoint: toRollouts, y: "reward", nothing: "The first point comes with the evaluation before training.", subtitle: "Mean of all samples; the bands are 95 % confidence intervals. Drag to zoom, double-click to go back, click a point for its answers." });
  const rest = CHARTS.filter(({ where }) => !where || where(job)).map((spec) => ({ spec, element: chart({ ...spec, level: 3, signal, file: file(spec.title), onRange: zoomed }) }));
  all.push(reward, ...rest.map(({ element }) => element));

  const slider = h("input", { type: "range", min: 0, max: 0.95, step: 0.05, "aria-label": "Smoothing of all curves", props: { value: weight } });
  const value = h("output", { class: "num" }, weight.toFixed(2));
  slider.addEventListener("input", () => {
    weight = Number(slider.value);
    value.textContent = weight.toFixed(2);
    setQuery({ smooth: weight || null });
    draw();
  });
  function soft(lines) {
    if (!weight) return lines;
    return lines.flatMap((line) => [{ ...line, points: line.points.map(({ x, y }) => ({ x, y })), faint: true, markers: false }, { ...line, points: smoothed(line.points, weight) }]);
  }
  function draw() {
    reward.update(soft(rewardLines(steps)));
    for (const { spec, element } of rest) element.update(soft(spec.lines(steps)));
  }
  const element = inStack(card(null, {}, inStack(reward, h("div", { class: "chart-tools" }, h("label", {}, "Smoothing", slider, value)))),
    h("h2", { class: "visually-hidden" }, "More curves"),
    h("div", { class: "grid charts" }, rest.map(({ element }) => card(null, {}, element))),
  );
  element.show = (next) => {
    steps = next;
    draw();
  };
  return element;
}
