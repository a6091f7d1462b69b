// The checkpoints that a job keeps: the best marked, each to download and to chat with.

import { address, all } from "../../lib/api.js";
import { badge, card, explained, linkButton, table, time } from "../../lib/components.js";
import { h, replace } from "../../lib/dom.js";
import { figure } from "../../lib/format.js";
import { href } from "../../lib/router.js";

/** The card; `load()` asks for the checkpoints again. */
export function checkpointCard(jobId, { signal }) {
  const path = `/fine_tuning/jobs/${encodeURIComponent(jobId)}/checkpoints`;
  const body = h("div", {});
  const element = card("Checkpoints", {}, body);
  element.load = () => explained(body, show, element.load);
  async function show() {
    const checkpoints = await all(path, { signal });
    replace(body, checkpoints.length ? list(checkpoints, path) : h("p", { class: "muted" }, "None yet. One is kept at every validation, and the three best stay."));
  }
  element.load();
  return element;
}

function list(checkpoints, path) {
  const reward = (checkpoint) => checkpoint.metrics.full_valid_mean_reward ?? null;
  const scored = checkpoints.filter((checkpoint) => reward(checkpoint) !== null);
  // As the service ranks them: the highest validation reward, the earlier of equals.
  const best = scored.sort((a, b) => reward(b) - reward(a) || a.step_number - b.step_number)[0];
  const weights = (checkpoint, format) => address(`${path}/${checkpoint.id}/weights`, { format });
  return table(
    [
      ["Step", (checkpoint) => h("span", {}, checkpoint.step_number, " ", checkpoint === best && badge("best", "good")), { class: "num" }],
      ["Validation", (checkpoint) => figure(reward(checkpoint)), { class: "num" }],
      ["Train", (checkpoint) => figure(checkpoint.metrics.train_mean_reward), { class: "num" }],
      ["Created", (checkpoint) => time(checkpoint.created_at)],
      ["Model", (checkpoint) => h("code", {}, checkpoint.fine_tuned_model_checkpoint)],
      [
        "Use",
        (checkpoint) =>
          h(
            "div",
            { class: "actions" },
            linkButton("Adapter", weights(checkpoint, "adapter"), { kind: "quiet", icon: "download", download: "", title: `Download the adapter of step ${checkpoint.step_number}` }),
            linkButton("Merged", weights(checkpoint, "merged"), { kind: "quiet", icon: "download", download: "", title: `Download the whole merged model of step ${checkpoint.step_number}` }),
            linkButton("Chat", href("/chat", { model: checkpoint.fine_tuned_model_checkpoint }), { kind: "quiet", icon: "chat", title: `Chat with step ${checkpoint.step_number}` }),
          ),
      ],
    ],
    [...checkpoints].sort((a, b) => b.step_number - a.step_number),
    { caption: "Checkpoints, latest first" },
  );
}
