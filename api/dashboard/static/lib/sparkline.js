// A curve without axes, for a row of a table.

import { svg } from "./dom.js";
import { figure } from "./format.js";

const WIDTH = 120;
const HEIGHT = 32;

/** `curves`: { train: [[step, reward], …], valid: […] }, drawn on one scale. */
export function sparkline(curves) {
  const points = Object.values(curves).flat();
  if (points.length < 2) return svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = ([x, y]) => [
    (WIDTH * (x - left)) / (right - left || 1),
    HEIGHT - 2 - ((HEIGHT - 4) * (y - low)) / (high - low || 1),
  ];
  const path = (curve) => curve.map((point, index) => `${index ? "L" : "M"}${place(point).map((n) => n.toFixed(1)).join(" ")}`).join("");
  const said = Object.entries(curves).filter(([, curve]) => curve.length).map(([name, curve]) => `${name} from ${figure(curve[0][1])} to ${figure(curve.at(-1)[1])}`);
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Reward: ${said.join(", ")}`, preserveAspectRatio: "none" },
    Object.entries(curves).map(([name, curve]) => svg("path", { class: name, d: path(curve) })),
  );
}
