// Choosing a file that is there, or uploading one.

import { upload } from "../../lib/api.js";
import { field, input, note, progress, select, smallText } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { moment, size } from "../../lib/format.js";

/** The picker; `value` is the chosen file's id, `setError(text)` shows what is wrong with it. */
export function filePicker(label, files, { onChange, signal, required = false, hint = null }) {
  const options = files.map((file) => [file.id, `${file.filename} · ${size(file.bytes)} · ${moment(file.created_at)}`]);
  const chosen = select([["", required ? "Choose a file" : "None"], ...options], { required });
  const picked = field(label, chosen, { hint });
  const source = input({ type: "file", accept: ".jsonl" });
  const state = h("div", { role: "status" });
  const element = h("div", { class: "file-pick" }, picked, field(`Upload a ${label.toLowerCase()}`, source, { hint: "JSON Lines: one object a line with “messages”, and whatever your grader compares with." }), state);

  source.addEventListener("change", async () => {
    const [file] = source.files;
    if (!file) return;
    const form = new FormData();
    form.append("purpose", "fine-tune");
    form.append("file", file, file.name);
    try {
      const stored = await upload("/files", form, { signal, onProgress: (share) => replace(state, progress(share, `Uploading ${file.name}`)) });
      chosen.append(h("option", { value: stored.id }, `${stored.filename} · ${size(stored.bytes)} · just uploaded`));
      chosen.value = stored.id;
      replace(state, smallText(`${stored.filename} is uploaded.`));
      source.value = "";
      onChange();
    } catch (error) {
      if (error.name !== "AbortError") replace(state, note("bad", "The upload failed", error.message));
    }
  });
  chosen.addEventListener("change", onChange);
  Object.defineProperty(element, "value", { get: () => chosen.value });
  element.setError = (text) => picked.setError(text);
  return element;
}
