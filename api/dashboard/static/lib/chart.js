// Charts: one card each, drawn by Plotly while it is in view. Plotly is loaded from this service, when the first chart needs it.

import { button } from "./components.js";
import { h, replace, uniqueId } from "./dom.js";
import { figure } from "./format.js";
import { onTheme, token } from "./theme.js";

let library = null;
let turns = Promise.resolve();

/** One chart a frame, so that the page goes on answering while many are drawn. */
function turn() {
  turns = turns.then(() => new Promise(requestAnimationFrame));
  return turns;
}

/** Plotly, loaded once. Pages call this early, so that it is there when the data is. */
export function plotly() {
  library ??= new Promise((resolve, reject) => {
    const script = h("script", { src: document.querySelector("meta[name=chart-library]").content });
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => {
      library = null;
      reject(new Error("The chart library could not be loaded. Please reload the page."));
    });
    document.head.append(script);
  });
  return library;
}

/**
 * A chart. `series`: [{ name, label (in the legend), color: "--train", points: [{ x, y, low, high, text }], dashed, markers }], where `low` and `high`
 * make a band and a `y` of null a gap. Options: `title`, `subtitle`, `signal` (required: the page's), `x` and `y` (axes' titles),
 * `log`, `large`, `fromZero` (the axis begins at 0), `file` (name of exports), `onPoint({ x, name })` for clicks, `nothing` (text while there is no data).
 * The element has `update(series)`, `setLog(on)`, and `setRange(range)` with [from, to] or null.
 */
export function chart({ title, subtitle = null, series = [], signal, x = "step", y = "", log = false, large = false, level = 3, file = "chart", onPoint = null, onRange = null, fromZero = false, nothing = "No data yet." }) {
  const plot = h("div", { class: "plot" });
  const legend = h("ul", { class: "legend" });
  const id = uniqueId("chart");
  const logButton = button("Log", () => element.setLog(!log), { kind: "quiet", "aria-pressed": String(log), title: "Logarithmic axis" });
  const tools = h("div", { class: "row" }, logButton, button("PNG", () => exportImage(), { kind: "quiet", title: `Save “${title}” as a picture` }), button("CSV", () => exportTable(), { kind: "quiet", title: `Save the figures of “${title}”` }));
  const element = h(
    "figure",
    { class: `chart ${large ? "large" : ""}`, "aria-labelledby": id },
    h("figcaption", {}, h(`h${level}`, { id }, title), tools, subtitle && h("p", { class: "small muted" }, subtitle)),
    legend,
    plot,
  );
  let visible = false;
  let drawn = false;
  let range = null;
  let pending = false;
  let stale = true;

  async function draw() {
    stale = true;
    if (!visible || pending || signal.aborted) return;
    tell();
    if (!series.some((line) => line.points.some((point) => point.y !== null && point.y !== undefined))) {
      if (!drawn) replace(plot, h("p", { class: "nothing" }, nothing));
      return;
    }
    pending = true;
    try {
      const library = await plotly();
      await turn();
      pending = stale = false;
      if (signal.aborted) return;
      if (!drawn) plot.replaceChildren();
      await library.react(plot, traces(series), layout({ x, y, log, range, fromZero }), CONFIG);
      if (!drawn) listen();
      drawn = true;
    } catch (error) {
      replace(plot, h("p", { class: "nothing" }, error.message));
    } finally {
      pending = false;
    }
  }

  /** The legend with the latest figures, and the chart in words. */
  function tell() {
    replace(legend, series.filter((line) => line.points.length).map(legendItem));
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", described(title, series, x));
  }

  function listen() {
    if (onPoint) plot.on("plotly_click", ({ points }) => onPoint({ x: points[0].x, name: points[0].data.name }));
    plot.on("plotly_relayout", (change) => {
      if ("xaxis.range[0]" in change) range = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      else if ("xaxis.autorange" in change) range = null;
      else return;
      onRange?.(range);
    });
  }

  async function exportImage() {
    const library = await plotly();
    if (drawn) await library.downloadImage(plot, { format: "png", width: 1200, height: 600, scale: 2, filename: file });
  }

  function exportTable() {
    download(`${file}.csv`, "text/csv", table(series, x));
  }

  element.update = (next) => {
    series = next;
    if (!legend.childElementCount) tell();
    draw();
  };
  element.setLog = (on) => {
    log = on;
    logButton.setAttribute("aria-pressed", String(on));
    draw();
  };
  element.setRange = (next) => {
    range = next;
    draw();
  };
  const observer = new IntersectionObserver(([entry]) => {
    visible = entry.isIntersecting;
    if (visible && stale) draw();
  });
  observer.observe(plot);
  const resized = new ResizeObserver(() => drawn && plot.offsetWidth && globalThis.Plotly.Plots.resize(plot));
  resized.observe(plot);
  onTheme(draw, signal);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    resized.disconnect();
    if (drawn) globalThis.Plotly.purge(plot);
  });
  element.update(series);
  return element;
}

/** Hand the reader a file made here. */
export function download(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Exponential moving average over the points, `weight` from 0 (as they are) to below 1; gaps stay gaps. */
export function smoothed(points, weight) {
  if (!weight) return points;
  let mean = 0;
  let mass = 0;
  return points.map((point) => {
    if (point.y === null || point.y === undefined) return point;
    mean = weight * mean + (1 - weight) * point.y;
    mass = weight * mass + (1 - weight);
    return { ...point, y: mean / mass, low: undefined, high: undefined };
  });
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", scrollZoom: false };

function traces(series) {
  const made = [];
  for (const line of series) {
    const color = token(line.color);
    const points = line.points.filter((point) => point.y !== undefined);
    const band = points.filter((point) => point.low !== undefined && point.low !== null);
    if (band.length > 1) {
      const xs = band.map((point) => point.x);
      made.push({ x: [...xs, ...xs.toReversed()], y: [...band.map((p) => p.high), ...band.map((p) => p.low).toReversed()], fill: "toself", fillcolor: `${color}26`, line: { width: 0 }, mode: "lines", hoverinfo: "skip", showlegend: false, type: "scatter" });
    }
    made.push({
      x: points.map((point) => point.x),
      y: points.map((point) => point.y),
      customdata: points.map((point) => point.text ?? ""),
      name: line.name,
      mode: line.markers || points.length < 3 ? "lines+markers" : "lines",
      line: { color, width: line.faint ? 1 : 2, dash: line.dashed ? "dash" : "solid" },
      opacity: line.faint ? 0.35 : 1,
      marker: { color, size: 6 },
      hovertemplate: `%{y:.4~g}%{customdata}`,
      hoverinfo: line.faint ? "skip" : undefined,
      connectgaps: true,
      type: "scatter",
    });
  }
  return made;
}

function layout({ x, y, log, range, fromZero }) {
  const text = token("--text-2");
  const axis = { gridcolor: token("--grid"), zeroline: false, linecolor: token("--line"), tickfont: { color: text, size: 12 }, automargin: true };
  return {
    font: { family: getComputedStyle(document.body).fontFamily, color: text, size: 12 },
    paper_bgcolor: token("--surface"),
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 12, t: 8, b: 36 },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: token("--surface"), bordercolor: token("--line-strong"), font: { color: token("--text"), size: 12 } },
    dragmode: "zoom",
    xaxis: { ...axis, title: { text: x, font: { size: 12 }, standoff: 6 }, hoverformat: "d", ...(range ? { range } : { autorange: true }), rangemode: "normal" },
    yaxis: { ...axis, title: { text: y, font: { size: 12 } }, type: log ? "log" : "linear", fixedrange: true, rangemode: fromZero ? "tozero" : "normal" },
    uirevision: "kept",
    datarevision: performance.now(),
  };
}

function legendItem(line) {
  const last = line.points.findLast((point) => point.y !== null && point.y !== undefined);
  return line.faint ? null : h("li", {}, h("span", { class: `key ${line.dashed ? "dashed" : ""}`, "aria-hidden": "true", vars: { "--color": `var(${line.color})` } }), line.label ?? line.name, last && h("strong", {}, figure(last.y)));
}

function described(title, series, x) {
  const said = series.filter((line) => !line.faint).map((line) => {
    const points = line.points.filter((point) => point.y !== null && point.y !== undefined);
    return points.length ? `${line.name} goes from ${figure(points[0].y)} at ${x} ${points[0].x} to ${figure(points.at(-1).y)} at ${x} ${points.at(-1).x}` : null;
  });
  return `${title}: ${said.filter(Boolean).join("; ") || "no data yet"}`;
}

function table(series, x) {
  const lines = series.filter((line) => !line.faint);
  const rows = new Map();
  for (const [index, line] of lines.entries()) {
    for (const point of line.points) {
      if (!rows.has(point.x)) rows.set(point.x, []);
      rows.get(point.x)[index] = point.y ?? "";
    }
  }
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const head = [x, ...lines.map((line) => quoted(line.name))].join(",");
  const body = [...rows].sort(([a], [b]) => a - b).map(([at, values]) => [at, ...lines.map((_, index) => values[index] ?? "")].join(","));
  return `${[head, ...body].join("\n")}\n`;
}
