// The project's files: upload with progress, a look at the rows, and what a job would say of them.

import { address, all, get, remove, upload } from "../lib/api.js";
import { badge, button, card, confirm, empty, errorNote, explained, field, inRow, inStack, linkButton, loading, note, pageHead, progress, select, smallText, table, time, toast } from "../lib/components.js";
import { h, replace } from "../lib/dom.js";
import { count, size } from "../lib/format.js";
import { setQuery } from "../lib/router.js";

export const title = "Files";

const ROWS = 20;
const EXAMPLE = '{"messages": [{"role": "user", "content": "What is 2 + 2?"}], "answer": "4"}';

export async function open({ root, query, signal }) {
  const list = inStack();
  const detail = inStack();
  root.append(pageHead("Files", "Prompts to train on and to validate with: one JSON object a line, with “messages” and whatever your grader needs."), uploadCard({ signal, done }), list, detail);

  async function load() {
    const files = await all("/files", { query: { limit: 1000 }, signal, most: 10_000 });
    replace(list, files.length ? filesCard(files) : empty("No files yet", "A data file has one prompt a line. Every key beside “messages” is yours: graders see it as item.", h("pre", {}, EXAMPLE)));
    return files;
  }
  async function done(file) {
    await load();
    show(file);
  }
  function filesCard(files) {
    return card("Your files", { aside: h("span", { class: "muted small" }, count(files.length)) }, table(
      [
        ["Name", (file) => h("div", { class: "file-name" }, isDataset(file) ? button(file.filename, () => show(file), { kind: "link" }) : file.filename, h("code", { class: "small muted" }, file.id))],
        ["Size", (file) => size(file.bytes), { class: "right num" }],
        ["Purpose", (file) => file.purpose],
        ["Uploaded", (file) => time(file.created_at)],
        ["", (file) => h("div", { class: "actions" }, linkButton("Download", address(`/files/${file.id}/content`), { kind: "quiet", download: "", "aria-label": `Download ${file.filename}` }), button("Delete", () => drop(file), { kind: "quiet", "aria-label": `Delete ${file.filename}` }))],
      ],
      files,
      { caption: "Your files" },
    ));
  }
  async function drop(file) {
    if (!(await confirm("Delete this file?", `“${file.filename}” is gone for good. Jobs that are still being checked fail without it; jobs that run go on, but their graders cannot be tried on it any more.`, { yes: "Delete", danger: true }))) return;
    await remove(`/files/${file.id}`);
    toast("good", "Deleted", file.filename);
    replace(detail);
    setQuery({ file: null });
    await load();
  }
  function show(file) {
    setQuery({ file: file.id });
    replace(detail, fileDetail(file, signal));
    detail.scrollIntoView({ block: "start" });
  }

  const files = await load();
  const asked = files.find((file) => file.id === query.get("file"));
  if (asked && isDataset(asked)) show(asked);
}

function isDataset({ filename }) {
  return filename.toLowerCase().endsWith(".jsonl");
}

function uploadCard({ signal, done }) {
  const chooser = h("input", { class: "input", type: "file", accept: ".jsonl", multiple: true });
  const running = h("div", { class: "stack", "aria-live": "polite" });
  const zone = h("div", { class: "drop" }, field("Choose JSON lines (.jsonl), or drop them here", chooser));
  async function take(files) {
    for (const file of files) await one(file);
    chooser.value = "";
  }
  async function one(file) {
    const own = new AbortController();
    signal.addEventListener("abort", () => own.abort());
    const bar = h("div", {}, progress(0, `Upload of ${file.name}`));
    const told = h("span", { class: "small muted num" }, `0 of ${size(file.size)}`);
    const line = h("div", { class: "stack upload" }, h("div", { class: "row spread" }, h("span", {}, file.name), inRow(told, button("Stop", () => own.abort(), { kind: "quiet" }))), bar);
    running.append(line);
    const form = new FormData();
    form.append("purpose", "fine-tune");
    form.append("file", file);
    try {
      const made = await upload("/files", form, {
        signal: own.signal,
        onProgress: (share) => {
          replace(bar, progress(share, `Upload of ${file.name}`));
          told.textContent = share < 1 ? `${size(share * file.size)} of ${size(file.size)}` : "Being stored…";
        },
      });
      line.remove();
      await done(made);
    } catch (error) {
      if (error.name === "AbortError") line.remove();
      else replace(line, h("p", {}, file.name), errorNote(error), button("Dismiss", () => line.remove(), { kind: "quiet" }));
    }
  }
  chooser.addEventListener("change", () => take([...chooser.files]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  return card("Upload", {}, inStack(zone, running));
}

/** What checking found, and the first rows; more by the page. */
function fileDetail(file, signal) {
  const split = select([["train", "for training"], ["valid", "for validation"]], { value: "train" });
  const report = h("div", { "aria-live": "polite" });
  const rows = inStack();
  async function check() {
    replace(report, loading("Checking every line…"));
    await explained(report, async () => replace(report, reportNote(await get(`/files/${file.id}/check`, { query: { split: split.value }, signal }), showLine)), check);
  }
  let start = 0;
  async function page(from) {
    start = Math.max(0, from);
    replace(rows, loading());
    await explained(rows, async () => {
      const found = await get(`/files/${file.id}/rows`, { query: { start, limit: ROWS }, signal });
      replace(rows, found.data.length ? rowsTable(found.data) : h("p", { class: "muted" }, "There are no more rows."), pager(found));
    }, () => page(start));
  }
  function pager(found) {
    const back = button("Earlier rows", () => page(start - ROWS), { disabled: start === 0 });
    const next = button("Later rows", () => page(start + ROWS), { disabled: !found.has_more });
    return inRow(back, next);
  }
  async function showLine(line) {
    await page(line - 1);
    rows.scrollIntoView({ block: "start" });
  }
  split.addEventListener("change", check);
  check();
  page(0);
  return h("div", { class: "stack", id: "file" }, card(file.filename, { aside: h("code", { class: "small muted" }, file.id) }, inStack(h("div", { class: "fields" }, field("Check it", split)), report)), card("Rows", {}, rows));
}

function reportNote(report, showLine) {
  if (report.usable) return note("good", "This file can be used", `${count(report.rows)} rows, no problems.`);
  return h(
    "div",
    { class: "note bad", role: "alert" },
    h("strong", {}, `${report.problems.length} ${report.problems.length === 1 ? "problem" : "problems"}: a job with this file would fail`),
    h("ul", { class: "problems" }, report.problems.map(({ line, message }) => h("li", {}, line !== null && button(`Line ${line}`, () => showLine(line), { kind: "link" }), h("span", { class: "wrap" }, line === null ? message : `: ${message}`)))),
    smallText(`${count(report.rows)} rows before the check ended are good. Correct the lines, and upload the file again.`),
  );
}

function rowsTable(rows) {
  return table(
    [
      ["Line", (row) => h("span", { class: "num" }, row.line ?? "–")],
      ["Prompt", (row) => (row.problem ? h("span", {}, badge("problem", "bad"), " ", row.problem) : h("span", { class: "wrap" }, lastMessage(row.value)))],
      ["Other columns", (row) => row.value && h("code", { class: "wrap" }, columns(row.value))],
    ],
    rows,
    { caption: "Rows of the file" },
  );
}

function lastMessage({ messages }) {
  const content = Array.isArray(messages) ? messages.at(-1)?.content : null;
  const text = Array.isArray(content) ? content.map((part) => part?.text ?? "").join("") : content;
  return typeof text === "string" ? cut(text) : "–";
}

function columns({ messages: _, ...rest }) {
  return Object.keys(rest).length ? cut(JSON.stringify(rest)) : "–";
}

function cut(text) {
  return text.length > 600 ? `${text.slice(0, 600)} …` : text;
}
