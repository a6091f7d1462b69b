import { svg } from "./dom.js";

/** The project's mark. */
export function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 8, fill: "#1f2a37" }),
    svg("path", { d: "M6 23c5 0 6-5 9-8s6-6 11-7", fill: "none", stroke: "#5eead4", "stroke-width": 3, "stroke-linecap": "round" }),
    svg("circle", { cx: 26, cy: 8, r: 2.5, fill: "#fbbf24" }),
  );
}
