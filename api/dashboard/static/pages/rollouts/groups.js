// The prompts of a step, and all samples of the chosen one beside each other.

import { all } from "../../lib/api.js";
import { button, empty, errorNote, field, input, inRow, inStack, loading, select, virtualList } from "../../lib/components.js";
import { debounced, h, replace } from "../../lib/dom.js";
import { count, figure } from "../../lib/format.js";
import { setQuery } from "../../lib/router.js";
import { itemOf, promptCard, shortPrompt } from "./prompt.js";
import { sampleCard } from "./sample.js";
import { tokenLegend } from "./tokens.js";

const ROW_HEIGHT = 76;
const ORDERS = {
  sampled: ["As sampled", null],
  best: ["Best reward first", (group) => -(group.reward_mean ?? -Infinity)],
  worst: ["Worst reward first", (group) => group.reward_mean ?? -Infinity],
  spread: ["Widest spread first", (group) => -((group.reward_max ?? 0) - (group.reward_min ?? 0))],
  errors: ["Most errors first", (group) => -group.errors],
};
const SAMPLE_ORDERS = [["-reward", "Best first"], ["reward", "Worst first"], ["sampled", "As sampled"], ["-length", "Longest first"], ["length", "Shortest first"]];

export async function groupsView({ job, path, state, signal, query, go }) {
  const groups = await all(`${path}/rollouts/groups`, { query: { step: state.step, split: state.split, limit: 1000 }, signal, most: 20000 });
  let shown = groups;
  let order = query.get("groups") in ORDERS ? query.get("groups") : "sampled";
  const list = virtualList([], { height: ROW_HEIGHT, label: "Prompts of this step", render: (group) => groupRow(group, group.example === state.prompt, () => choose(group.example)) });
  list.classList.add("group-list");
  const search = input({ type: "search", placeholder: "Text of the prompt", "aria-label": "Find prompts" });
  const orderBy = select(Object.entries(ORDERS).map(([key, [label]]) => [key, label]), { value: order, "aria-label": "Order of prompts" });
  const told = h("p", { class: "small muted", role: "status" });
  const detail = h("div", { class: "stack group-detail" });

  function filter() {
    const text = search.value.trim().toLowerCase();
    const [, key] = ORDERS[order];
    shown = groups.filter((group) => !text || group.prompt.toLowerCase().includes(text));
    if (key) shown = shown.toSorted((a, b) => key(a) - key(b));
    told.textContent = `${count(shown.length)} prompts, ${count(shown.reduce((sum, group) => sum + group.samples, 0))} samples`;
    list.style.setProperty("--rows", `${ROW_HEIGHT * Math.max(1, shown.length) + 2}px`);
    list.setItems(shown);
  }
  search.addEventListener("input", debounced(150, filter));
  orderBy.addEventListener("change", () => {
    order = orderBy.value;
    setQuery({ groups: order === "sampled" ? null : order });
    filter();
  });

  function choose(example) {
    state.prompt = example;
    setQuery({ prompt: example });
    const at = list.scrollTop;
    list.setItems(shown);
    list.scrollTop = at;
    showGroup();
  }
  async function showGroup() {
    const wanted = state.prompt;
    replace(detail, loading());
    try {
      const element = await groupDetail({ job, path, state, signal, query, go });
      if (state.prompt === wanted && !signal.aborted) replace(detail, element);
    } catch (error) {
      if (error.name !== "AbortError") replace(detail, errorNote(error, showGroup));
    }
  }
  state.moveGroup = (by) => {
    const next = shown[Math.max(0, shown.findIndex((group) => group.example === state.prompt) + by)];
    if (!next) return;
    choose(next.example);
    list.scrollTop = ROW_HEIGHT * Math.max(0, shown.indexOf(next) - 2);
  };
  filter();
  if (!groups.length) return empty("Nothing was sampled here", "This step has no samples of this kind. Choose another step.");
  if (!groups.some((group) => group.example === state.prompt)) state.prompt = groups[0].example;
  choose(state.prompt);
  requestAnimationFrame(() => {
    list.scrollTop = ROW_HEIGHT * Math.max(0, shown.findIndex((group) => group.example === state.prompt) - 2);
  });
  return h("div", { class: "groups" }, h("div", { class: "stack group-side" }, h("h2", { class: "visually-hidden" }, "Prompts"), search, orderBy, told, list), detail);
}

function groupRow(group, chosen, choose) {
  return h(
    "button",
    { type: "button", class: "group-row", "aria-current": chosen ? "true" : null, on: { click: choose } },
    h("span", { class: "group-prompt" }, shortPrompt(group.prompt)),
    h(
      "span",
      { class: "row small" },
      h("strong", { class: "num" }, figure(group.reward_mean)),
      group.reward_max !== null && h("span", { class: "muted num" }, group.reward_max - group.reward_min > 1e-9 ? `${figure(group.reward_min, 2)} to ${figure(group.reward_max, 2)}` : "no spread"),
      group.errors > 0 && h("span", { class: "bad-text" }, `${group.errors} not graded`),
    ),
  );
}

async function groupDetail({ job, path, state, signal, query, go }) {
  const wanted = { step: state.step, split: state.split, example: state.prompt };
  const order = SAMPLE_ORDERS.some(([key]) => key === query.get("order")) ? query.get("order") : "-reward";
  const include = state.colour ? "tokens" : null;
  const [item, rollouts] = await Promise.all([
    itemOf(job, state.split, state.prompt, signal),
    all(`${path}/rollouts`, { query: { ...wanted, order_by: order, include }, signal }),
  ]);
  const orderBy = select(SAMPLE_ORDERS, { value: order });
  orderBy.addEventListener("change", () => {
    query.set("order", orderBy.value);
    setQuery({ order: orderBy.value === "-reward" ? null : orderBy.value });
    go({});
  });
  const chosen = query.get("sample");
  const element = inStack(h("div", { class: "row spread" }, h("h2", {}, `Prompt ${state.prompt}`), inRow(button("Over the steps", () => go({ view: "history" })), h("div", { class: "inline-field" }, field("Samples", orderBy)))),
    promptCard(item, rollouts[0]?.prompt ?? ""),
    state.colour && tokenLegend(),
    h("div", { class: "samples" }, rollouts.map((rollout) => sampleCard(rollout, { job, colour: state.colour, highlight: String(rollout.sample) === chosen }))),
  );
  if (chosen !== null) requestAnimationFrame(() => element.querySelector(".chosen")?.scrollIntoView({ block: "center" }));
  return element;
}
