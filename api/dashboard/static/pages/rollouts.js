// What the model wrote: the groups of a step, all its samples, one prompt over the steps, and two checkpoints beside each other.

import { get } from "../lib/api.js";
import { button, checkbox, empty, errorNote, field, inRow, linkButton, loading, pageHead, select } from "../lib/components.js";
import { h, replace } from "../lib/dom.js";
import { href, setQuery } from "../lib/router.js";
import { allView } from "./rollouts/all.js";
import { compareView } from "./rollouts/compare.js";
import { groupsView } from "./rollouts/groups.js";
import { historyView } from "./rollouts/history.js";

export const title = "Rollouts";

const VIEWS = [
  ["groups", "By prompt", groupsView],
  ["all", "All samples", allView],
  ["history", "One prompt", historyView],
  ["compare", "Checkpoints", compareView],
];

export async function open({ root, params, query, signal, setTitle }) {
  const path = `/fine_tuning/jobs/${encodeURIComponent(params.id)}`;
  const [job, sampled] = await Promise.all([get(path, { signal }), get(`${path}/rollouts/steps`, { signal })]);
  const name = job.user_provided_suffix ?? job.id;
  setTitle(`Rollouts of ${name}`);
  root.append(
    pageHead("Rollouts", h("span", {}, "What the model wrote and how it was graded, in ", h("a", { href: href(`/jobs/${job.id}`) }, name), "."), linkButton("Edit and try its grader", href("/graders", { job: job.id }))),
  );
  if (!sampled.data.length) {
    root.append(empty("Nothing sampled yet", "As soon as the job has sampled its first batch, every prompt stands here with all the answers of its group, their rewards and what each grader gave.", linkButton("To the job", href(`/jobs/${job.id}`), { kind: "primary" })));
    return;
  }
  const state = startState(query, sampled.data);
  const content = h("div", { class: "stack", role: "tabpanel", "aria-label": "Rollouts" });
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Ways to look at the rollouts" }, VIEWS.map(([key, label]) => tab(key, label)));
  const controls = stepControls(state, sampled.data, show);
  tabs.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = tabs.children[(VIEWS.findIndex(([view]) => view === state.view) + step + VIEWS.length) % VIEWS.length];
    next.focus();
    next.click();
  });
  root.append(tabs, controls, content);
  listenToKeys(state, signal);

  function tab(key, label) {
    const element = button(label, () => {
      state.view = key;
      show();
    }, { role: "tab", "data-view": key });
    element.className = "";
    return element;
  }

  let leave = new AbortController();
  signal.addEventListener("abort", () => leave.abort());
  async function show() {
    leave.abort();
    leave = new AbortController();
    const own = leave.signal;
    setQuery({ view: state.view === "groups" ? null : state.view, split: state.split === "train" ? null : state.split, step: state.step, prompt: state.prompt });
    for (const element of tabs.children) {
      element.setAttribute("aria-selected", String(element.dataset.view === state.view));
      element.tabIndex = element.dataset.view === state.view ? 0 : -1;
      if (element.dataset.view === state.view) tabs.scrollLeft = element.offsetLeft - tabs.offsetLeft - tabs.clientWidth / 3;
    }
    controls.update();
    replace(content, loading());
    try {
      const shown = await VIEWS.find(([key]) => key === state.view)[2]({ job, path, state, sampled: sampled.data, signal: own, query, go: (changes) => (Object.assign(state, changes), show()) });
      if (!own.aborted) replace(content, shown);
    } catch (error) {
      if (error.name !== "AbortError" && !own.aborted) replace(content, errorNote(error, show));
    }
  }
  await show();
}

function startState(query, sampled) {
  const split = query.get("split") === "valid" && sampled.some((each) => each.split === "valid") ? "valid" : sampled.some((each) => each.split === "train") ? "train" : "valid";
  const steps = stepsOf(sampled, split);
  const asked = query.has("step") ? Number(query.get("step")) : null;
  return {
    view: VIEWS.some(([key]) => key === query.get("view")) ? query.get("view") : "groups",
    split,
    step: asked !== null && steps.includes(asked) ? asked : nearest(steps, asked),
    prompt: query.has("prompt") ? Number(query.get("prompt")) : null,
    colour: query.get("colour") === "1",
  };
}

function stepsOf(sampled, split) {
  return sampled.filter((each) => each.split === split).map((each) => each.step);
}

function nearest(steps, asked) {
  if (asked === null) return steps.at(-1);
  return steps.reduce((best, step) => (Math.abs(step - asked) < Math.abs(best - asked) ? step : best), steps[0]);
}

/** Split, step, and colouring, for the views that have them. */
function stepControls(state, sampled, show) {
  const split = select([["train", "Training"], ["valid", "Validation"]], { value: state.split });
  const step = select([], {});
  const colour = checkbox("Colour tokens by probability", { checked: state.colour });
  const earlier = button("‹", () => move(-1), { title: "Earlier step (key [)", "aria-label": "Earlier step" });
  const later = button("›", () => move(1), { title: "Later step (key ])", "aria-label": "Later step" });
  const stepField = h("div", { class: "row step-picker" }, field("Step", step), inRow(earlier, later));
  const element = h("div", { class: "row rollout-controls" }, field("Samples of", split), stepField, colour, h("p", { class: "small muted keys" }, "Keys: ", h("kbd", {}, "["), " ", h("kbd", {}, "]"), " step, ", h("kbd", {}, "j"), " ", h("kbd", {}, "k"), " prompt"));
  split.addEventListener("change", () => {
    state.split = split.value;
    state.step = nearest(stepsOf(sampled, state.split), state.step) ?? null;
    show();
  });
  step.addEventListener("change", () => {
    state.step = Number(step.value);
    show();
  });
  colour.control.addEventListener("change", () => {
    state.colour = colour.control.checked;
    setQuery({ colour: state.colour ? 1 : null });
    show();
  });
  function move(by) {
    const steps = stepsOf(sampled, state.split);
    const next = steps[steps.indexOf(state.step) + by];
    if (next === undefined) return;
    state.step = next;
    show();
  }
  state.move = move;
  element.update = () => {
    const steps = stepsOf(sampled, state.split);
    split.value = state.split;
    replace(step, steps.map((each) => h("option", { value: each }, each === 0 ? "0 (before training)" : String(each))));
    step.value = String(state.step);
    const at = steps.indexOf(state.step);
    earlier.disabled = at <= 0;
    later.disabled = at >= steps.length - 1;
    stepField.hidden = ["history", "compare"].includes(state.view);
    element.hidden = state.view === "compare";
    colour.hidden = !["groups", "history"].includes(state.view);
    element.querySelector(".keys").hidden = state.view !== "groups";
  };
  return element;
}

function listenToKeys(state, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "[" || event.key === "]") state.move(event.key === "]" ? 1 : -1);
    if ((event.key === "j" || event.key === "k") && state.view === "groups") state.moveGroup?.(event.key === "j" ? 1 : -1);
  }, { signal });
}

