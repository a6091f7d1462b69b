// A list of any length of which only the visible rows exist, and which is fetched as the reader scrolls.

import { errorNote, loading } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";

const MARGIN = 6;

/**
 * `fetchPage(after)` gives a list object of the API; `render(item)` a row of `height` pixels. `onCount(loaded, more)` hears how
 * many there are. `reload()` of the element begins anew.
 */
export function pagedList({ height, label, signal, nothing, fetchPage, render, onCount }) {
  const spacer = h("div", { class: "spacer", role: "list", "aria-label": label });
  const foot = h("div", { class: "paged-foot" });
  const element = h("div", { class: "virtual paged", tabindex: 0, role: "region", "aria-label": label }, spacer, foot);
  let items = [];
  let more = true;
  let fetching = 0;
  let shown = new Map();

  function draw() {
    const first = Math.max(0, Math.floor(element.scrollTop / height) - MARGIN);
    const last = Math.min(items.length, Math.ceil((element.scrollTop + element.clientHeight) / height) + MARGIN);
    const next = new Map();
    for (let index = first; index < last; index += 1) {
      const row = shown.get(index) ?? place(index);
      next.set(index, row);
      shown.delete(index);
    }
    for (const row of shown.values()) row.remove();
    shown = next;
    if (more && !fetching && last + 2 * MARGIN >= items.length) fetchMore();
  }

  function place(index) {
    const row = h("div", { class: "item", role: "listitem", "aria-posinset": index + 1, "aria-setsize": more ? -1 : items.length }, render(items[index]));
    row.style.height = `${height}px`;
    row.style.top = `${index * height}px`;
    spacer.append(row);
    return row;
  }

  async function fetchMore() {
    const own = (fetching = Date.now() + Math.random());
    replace(foot, loading("More…"));
    try {
      const page = await fetchPage(items.at(-1)?.id ?? null);
      if (own !== fetching) return;
      items.push(...page.data);
      more = page.has_more;
      spacer.style.height = `${items.length * height}px`;
      replace(foot, items.length ? null : h("p", { class: "muted small" }, nothing));
      onCount(items.length, more);
      fetching = 0;
      draw();
    } catch (error) {
      if (error.name === "AbortError" || own !== fetching) return;
      replace(foot, errorNote(error, () => ((fetching = 0), fetchMore())));
    }
  }

  element.reload = () => {
    items = [];
    more = true;
    fetching = 0;
    shown = new Map();
    spacer.replaceChildren();
    spacer.style.height = "0px";
    element.scrollTop = 0;
    fetchMore();
  };
  let frame = 0;
  element.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }, { passive: true, signal });
  const resized = new ResizeObserver(draw);
  resized.observe(element);
  signal.addEventListener("abort", () => resized.disconnect());
  return element;
}
