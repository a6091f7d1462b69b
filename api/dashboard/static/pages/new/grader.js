// A grader's JSON, checked by the service while it is written.

import { post } from "../../lib/api.js";
import { field, inStack, select, textarea } from "../../lib/components.js";
import { debounced, h, replace } from "../../lib/dom.js";

const EXACT = { type: "string_check", name: "exact", input: "{{sample.output_text}}", reference: "{{item.answer}}", operation: "eq" };
const CLOSE = { type: "text_similarity", name: "close", input: "{{sample.output_text}}", reference: "{{item.answer}}", evaluation_metric: "fuzzy_match" };
const TEMPLATES = {
  "String check": EXACT,
  "Text similarity": CLOSE,
  Python: { type: "python", name: "program", source: 'def grade(sample, item):\n    return 1.0 if item["answer"] in sample["output_text"] else 0.0\n' },
  "Score model (a judge)": { type: "score_model", name: "judge", model: "gpt-4.1-2025-04-14", input: [{ role: "user", content: "Score this answer from 0 to 1.\nQuestion: {{item.question}}\nAnswer: {{sample.output_text}}" }], range: [0, 1] },
  "Several, combined": { type: "multi", graders: { exact: EXACT, close: CLOSE }, calculate_output: "0.8 * exact + 0.2 * close" },
};

/** The editor; `value()` is the configuration and throws where it is no JSON. `set(config)` shows another. */
export function graderEditor({ signal, initial = EXACT, onChange = () => {} }) {
  const editor = textarea({ code: true, rows: 14, name: "grader", value: JSON.stringify(initial, null, 2) });
  const template = select([["", "Begin with…"], ...Object.keys(TEMPLATES).map((name) => [name, name])]);
  const verdict = h("p", { class: "verdict", role: "status" });
  const labelled = field("Configuration", editor, { hint: "{{item.…}} is a column of the file's row, {{sample.output_text}} the model's answer." });
  const element = inStack(field("Template", template), labelled, verdict);
  let round = 0;

  element.value = () => {
    try {
      return JSON.parse(editor.value);
    } catch (error) {
      throw new Error(`The grader is not JSON yet: ${error.message}`);
    }
  };
  element.set = (config) => {
    editor.value = JSON.stringify(config, null, 2);
    check();
  };
  async function check() {
    round += 1;
    const mine = round;
    try {
      const { grader } = await post("/fine_tuning/alpha/graders/validate", { grader: element.value() }, { signal });
      if (mine !== round) return;
      labelled.setError(null);
      replace(verdict, h("span", { class: "badge good" }, `valid: ${grader.type} grader “${grader.name}”`));
      onChange(grader);
    } catch (error) {
      if (mine !== round || error.name === "AbortError") return;
      labelled.setError(error.param ? `${error.message} (${error.param})` : error.message);
      replace(verdict, h("span", { class: "badge bad" }, "not valid yet"));
    }
  }
  template.addEventListener("change", () => template.value && element.set(TEMPLATES[template.value]));
  editor.addEventListener("input", debounced(400, check));
  check();
  return element;
}
