// What pages are made of. Every function returns an element.

import { ApiError } from "./api.js";
import { h, replace, svg, uniqueId } from "./dom.js";
import { ago, exactMoment, moment } from "./format.js";

const ICONS = {
  jobs: "M3 12h4l2.5-7 5 14 2.5-7h4",
  compare: "M4 19V5m0 14h16M8 15l3-5 3 3 5-7",
  grader: "M5 12.5l4.5 4.5L19 7",
  chat: "M4 5h16v11H9l-5 4z",
  files: "M6 3h8l5 5v13H6zM14 3v5h5",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
  plus: "M12 5v14M5 12h14",
  download: "M12 4v11m0 0l-4-4m4 4l4-4M5 20h14",
};

/** A drawn sign; it says nothing to screen readers, so a label stands beside it. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": 1.9, "stroke-linecap": "round", "stroke-linejoin": "round" }, svg("path", { d: ICONS[name] }));
}

/** `button("Create", onClick, { kind: "primary", icon: "plus" })`; a promise of `onClick` keeps it busy, its failure is shown. */
export function button(label, onClick, { kind = "", icon: sign = null, type = "button", ...attributes } = {}) {
  const element = h("button", { type, class: `button ${kind}`, ...attributes }, sign && icon(sign), label);
  if (onClick) {
    element.addEventListener("click", async (event) => {
      const result = onClick(event);
      if (!(result instanceof Promise)) return;
      element.disabled = true;
      try {
        await result;
      } catch (error) {
        toastError(error);
      } finally {
        element.disabled = false;
      }
    });
  }
  return element;
}

export function linkButton(label, href, { kind = "", icon: sign = null, ...attributes } = {}) {
  return h("a", { class: `button ${kind}`, href, ...attributes }, sign && icon(sign), label);
}

/** Things beside each other, which wrap where there is no room. */
export function inRow(...children) {
  return h("div", { class: "row" }, children);
}

/** Things below each other. */
export function inStack(...children) {
  return h("div", { class: "stack" }, children);
}

export function smallText(...children) {
  return h("p", { class: "small muted" }, children);
}

/** Replaces what `place` holds by `make()`'s failure, where it fails for another reason than that the reader has left. */
export async function explained(place, make, again = null) {
  try {
    await make();
  } catch (error) {
    if (error.name !== "AbortError") replace(place, errorNote(error, again));
  }
}

/** A card with a heading and things beside it. */
export function card(title, { aside = null, level = 2, ...attributes } = {}, ...children) {
  const { class: kind = "", ...rest } = attributes;
  const id = uniqueId("card");
  return h(
    "section",
    { class: `card ${kind}`, "aria-labelledby": title ? id : null, ...rest },
    title && h("header", {}, h(`h${level}`, { id }, title), aside && inRow(aside)),
    ...children,
  );
}

export function pageHead(title, lead, ...actions) {
  return h("div", { class: "page-head" }, h("div", {}, h("h1", {}, title), lead && h("p", { class: "lead" }, lead)), inRow(actions));
}

const TONES = { succeeded: "good", running: "info live", queued: "plain", validating_files: "info live", paused: "warn", failed: "bad", cancelled: "plain" };

export function statusBadge(status) {
  return badge(status.replaceAll("_", " "), TONES[status] ?? "plain");
}

/** `tone`: good, warn, bad, info, plain. */
export function badge(text, tone = "plain") {
  return h("span", { class: `badge ${tone}` }, text);
}

/** `note("bad", "What happened", "What to do")`; children may be elements. */
export function note(tone, title, ...children) {
  return h("div", { class: `note ${tone}`, role: tone === "bad" ? "alert" : "status" }, title && h("strong", {}, title), children.map((child) => (typeof child === "string" ? h("p", {}, child) : child)));
}

/** A failure in words: what the service says, which field, and what can be done. */
export function errorNote(error, retry = null) {
  const where = error instanceof ApiError && error.param ? smallText("At fault: ", h("code", {}, error.param)) : null;
  const id = error instanceof ApiError && error.status >= 500 && error.requestId ? smallText(`The service's log names the cause under ${error.requestId}.`) : null;
  return note("bad", titleOf(error), h("p", { class: "wrap" }, error.message), where, id, retry && inRow(button("Try again", retry)));
}

function titleOf(error) {
  if (!(error instanceof ApiError)) return "This page has a fault";
  if (error.status === 0) return "No connection";
  if (error.status === 404) return "Not found";
  if (error.status === 403) return "Not allowed";
  if (error.status === 429) return "Too much at once";
  return error.status >= 500 ? "The service could not do this now" : "This cannot be done";
}

/** An empty state that teaches: what would stand here, and how to get it there. */
export function empty(title, ...children) {
  return h("div", { class: "empty" }, h("h2", {}, title), children.map((child) => (typeof child === "string" ? h("p", {}, child) : child)));
}

export function loading(text = "Loading…") {
  return h("div", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), text);
}

/** Shows what `make` returns (a promise of an element), a spinner until then, and a failure with "Try again". */
export function later(make, { text } = {}) {
  const place = inStack();
  const run = () => {
    replace(place, loading(text));
    return explained(place, async () => replace(place, await make()), run);
  };
  run();
  return place;
}

/** A labelled control: `field("Model", input, { hint })`. `setError(text)` of the result shows what is wrong with it. */
export function field(label, control, { hint = null } = {}) {
  const id = control.id || uniqueId("field");
  control.id = id;
  const help = hint && h("span", { class: "hint", id: `${id}-hint` }, hint);
  const problem = h("span", { class: "error", id: `${id}-error`, hidden: true });
  control.setAttribute("aria-describedby", [help && help.id, problem.id].filter(Boolean).join(" "));
  const element = h("div", { class: "field" }, h("label", { for: id }, label), control, help, problem);
  element.setError = (text) => {
    problem.textContent = text ?? "";
    problem.hidden = !text;
    control.setAttribute("aria-invalid", String(Boolean(text)));
  };
  return element;
}

export function input(attributes = {}) {
  return h("input", { class: "input", type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
}

export function textarea({ value = "", code = false, ...attributes } = {}) {
  return h("textarea", { class: `input ${code ? "code" : ""}`, spellcheck: code ? "false" : "true", rows: 6, ...attributes, props: { value } });
}

/** `options`: texts, or [value, label]. */
export function select(options, { value, ...attributes } = {}) {
  const element = h("select", { class: "input", ...attributes });
  for (const option of options) {
    const [key, label] = Array.isArray(option) ? option : [option, option];
    element.append(h("option", { value: key, props: { selected: key === value } }, label));
  }
  return element;
}

export function checkbox(label, { checked = false, ...attributes } = {}) {
  const id = uniqueId("check");
  const control = h("input", { type: "checkbox", id, ...attributes, props: { checked } });
  const element = h("div", { class: "check" }, control, h("label", { for: id }, label));
  element.control = control;
  return element;
}

/** `facts([["Model", "tiny"], ["Started", time(1)]])`; pairs without a value are left out. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A time in the reader's zone, in words or exactly. */
export function time(seconds, { relative = false } = {}) {
  if (!seconds) return "–";
  return h("time", { datetime: new Date(seconds * 1000).toISOString(), title: exactMoment(seconds) }, relative ? ago(seconds) : moment(seconds));
}

export function progress(share, label) {
  const value = Math.round(100 * Math.min(1, Math.max(0, share)));
  return h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": value, "aria-label": label, vars: { "--share": value } }, h("span"));
}

/** A table: `columns` are [heading, cell of a row, { class }]. Where it is narrow its rows become lists, unless it `stays` one. */
export function table(columns, rows, { caption, stays = false }) {
  return h(
    "div",
    { class: stays ? "table-wrap" : "table-wrap stacks", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map(([title, , options = {}]) => h("th", { scope: "col", class: options.class }, title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([title, cell, options = {}]) => h("td", { class: options.class, "data-label": title }, cell(row)))))),
    ),
  );
}

/** A question before something that cannot be taken back; resolves to whether the answer was yes. */
export function confirm(title, text, { yes, danger = false }) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id }, title),
        typeof text === "string" ? h("p", {}, text) : text,
        inRow(h("button", { class: "button", value: "no" }, "Go back"), h("button", { class: `button ${danger ? "danger" : "primary"}`, value: "yes" }, yes)),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A short message at the edge of the page, gone after some seconds. */
export function toast(tone, title, text = "") {
  let place = document.querySelector(".toasts");
  if (!place) {
    place = h("div", { class: "toasts", role: "region", "aria-live": "polite", "aria-label": "Messages" });
    document.body.append(place);
  }
  const element = note(tone, title, text);
  place.append(element);
  setTimeout(() => element.remove(), tone === "bad" ? 12000 : 5000);
}

export function toastError(error) {
  if (error.name !== "AbortError") toast("bad", titleOf(error), error.message);
}

/**
 * A list of which only the visible part exists: `virtualList(items, { height: 48, render: (item, index) => element })`.
 * `setItems` of the result shows others. Give the element a height by CSS.
 */
export function virtualList(items, { height, render, label }) {
  const spacer = h("div", { class: "spacer" });
  const element = h("div", { class: "virtual", tabindex: 0, role: "list", "aria-label": label }, spacer);
  let shown = new Map();
  function draw() {
    const first = Math.max(0, Math.floor(element.scrollTop / height) - 5);
    const last = Math.min(items.length, Math.ceil((element.scrollTop + element.clientHeight) / height) + 5);
    const next = new Map();
    for (let index = first; index < last; index += 1) {
      let row = shown.get(index);
      if (!row) {
        row = h("div", { class: "item", role: "listitem", "aria-setsize": items.length, "aria-posinset": index + 1 }, render(items[index], index));
        row.style.height = `${height}px`;
        row.style.top = `${index * height}px`;
        spacer.append(row);
      }
      next.set(index, row);
      shown.delete(index);
    }
    for (const row of shown.values()) row.remove();
    shown = next;
  }
  element.setItems = (others) => {
    items = others;
    spacer.style.height = `${items.length * height}px`;
    spacer.replaceChildren();
    shown = new Map();
    element.scrollTop = 0;
    draw();
  };
  element.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(element);
  element.setItems(items);
  return element;
}
