// Python sources of a configuration, each as a program of several lines instead of one string of JSON.

import { field, select, textarea } from "../../lib/components.js";
import { debounced, h, replace } from "../../lib/dom.js";

/** Shows the sources of the configuration in `editor` once it is valid, and writes what is changed here back into it. */
export function programEditor(editor) {
  const which = select([], { "aria-label": "Python grader" });
  const source = textarea({ code: true, rows: 12, name: "source" });
  const element = h("div", { class: "stack", hidden: true }, field("Python source", which), field("Program", source, { hint: "Changes go into the configuration above." }));
  which.addEventListener("change", show);
  source.addEventListener("input", debounced(300, write));

  function places(config) {
    const members = config.type === "multi" ? Object.entries(config.graders ?? {}).map(([name, grader]) => [name, grader]) : [["", config]];
    return members.filter(([, grader]) => grader?.type === "python");
  }
  function show() {
    const found = places(editor.value()).find(([name]) => name === which.value);
    if (found && document.activeElement !== source) source.value = found[1].source;
  }
  function write() {
    const config = editor.value();
    const found = places(config).find(([name]) => name === which.value);
    if (!found || found[1].source === source.value) return;
    found[1].source = source.value;
    editor.set(config);
  }
  element.follow = () => {
    const found = places(editor.value());
    element.hidden = !found.length;
    const before = which.value;
    replace(which, found.map(([name, grader]) => h("option", { value: name }, name || grader.name || "the grader")));
    if (found.some(([name]) => name === before)) which.value = before;
    which.closest(".field").hidden = found.length < 2;
    if (found.length) show();
  };
  return element;
}
