// A job's history as it grows.

import { get } from "../../lib/api.js";
import { button, card, checkbox, explained, inRow, time } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";

const PAGE = 50;
const MOST = 1000;

/** The card; `add(event)` puts a new one on top. */
export function eventCard(jobId, { signal }) {
  const path = `/fine_tuning/jobs/${encodeURIComponent(jobId)}/events`;
  const withSteps = checkbox("with steps");
  const list = h("ol", { class: "events", tabindex: 0, "aria-label": "Events, newest first" });
  const foot = inRow();
  const known = new Map();
  let oldest = null;

  function draw() {
    const shown = [...known.values()].filter((event) => withSteps.control.checked || event.type !== "metrics");
    replace(list, shown.length ? shown.map(item) : h("li", { class: "muted" }, "Nothing but steps so far."));
  }
  async function older() {
    await explained(foot, async () => {
      const page = await get(path, { query: { limit: PAGE, after: oldest }, signal });
      for (const event of page.data) known.set(event.id, event);
      oldest = page.data.at(-1)?.id ?? oldest;
      replace(foot, page.has_more && known.size < MOST && button("Show older", older, { kind: "quiet" }));
      draw();
    }, older);
  }
  const element = card("History", { aside: withSteps }, list, foot);
  element.add = (event) => {
    if (known.has(event.id)) return;
    const rest = [...known].slice(0, MOST - 1);
    known.clear();
    known.set(event.id, event);
    for (const [id, earlier] of rest) known.set(id, earlier);
    if (event.type !== "metrics" || withSteps.control.checked) draw();
  };
  withSteps.control.addEventListener("change", draw);
  older();
  return element;
}

function item(event) {
  return h("li", { class: event.level }, h("span", { class: "what wrap" }, event.level === "info" ? "" : h("strong", {}, `${event.level}: `), event.message), time(event.created_at, { relative: false }));
}
