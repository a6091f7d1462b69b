// The way of an RFT user through the service, with the `openai` package of npm.
// Reads OPENAI_BASE_URL, OPENAI_API_KEY; takes the directory with train.jsonl and valid.jsonl. Prints one JSON object at the end.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The package lies where the caller has installed it, and not beside this file.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { default: OpenAI, BadRequestError, NotFoundError } = await import(pathToFileURL(require.resolve("openai")));

const directory = process.argv[2];
const client = new OpenAI({ maxRetries: 0 });
const grader = {
  type: "string_check",
  name: "has an a",
  operation: "ilike",
  input: "{{sample.output_text}}",
  reference: "{{item.wanted}}",
};
const hyperparameters = { n_epochs: 1, batch_size: 4, eval_interval: 1, eval_samples: 1 };
const messages = [{ role: "user", content: "say 1" }];

const upload = (name) =>
  client.files.create({ file: fs.createReadStream(path.join(directory, `${name}.jsonl`)), purpose: "fine-tune" });
const train = await upload("train");
const valid = await upload("valid");
assert.equal((await client.files.waitForProcessing(train.id)).status, "processed");

const validated = await client.fineTuning.alpha.graders.validate({ grader });
assert.equal(validated.grader.name, "has an a");
const run = await client.fineTuning.alpha.graders.run({ grader, item: { wanted: "a" }, model_sample: "an apple" });
assert.equal(run.reward, 1);

let job = await client.fineTuning.jobs.create({
  model: "o4-mini-2025-04-16",
  training_file: train.id,
  validation_file: valid.id,
  suffix: "node",
  method: { type: "reinforcement", reinforcement: { grader, hyperparameters } },
  touchstone: { samples_per_prompt: 4, max_completion_tokens: 8 },
});
while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  job = await client.fineTuning.jobs.retrieve(job.id);
}
assert.equal(job.status, "succeeded", JSON.stringify(job.error));

const events = [];
for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 2 })) events.push(event.message);
assert.equal(events[0], "The job has successfully completed");
assert.equal(events.at(-1), `Created fine-tuning job: ${job.id}`);
const steps = [];
for await (const checkpoint of client.fineTuning.jobs.checkpoints.list(job.id)) steps.push(checkpoint.step_number);
assert.deepEqual(steps, [2, 1]);
assert.match(await (await client.files.content(job.result_files[0])).text(), /^step,/);

const asked = { model: job.fine_tuned_model, messages, max_completion_tokens: 8, seed: 1 };
const whole = (await client.chat.completions.create(asked)).choices[0].message.content;
let streamed = "";
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(streamed, whole);
const response = await client.responses.create({ model: job.fine_tuned_model, input: "say 1", max_output_tokens: 8 });
assert.equal(response.object, "response");

await assert.rejects(client.fineTuning.jobs.cancel(job.id), (error) => error instanceof BadRequestError && error.code === "invalid_state");
await assert.rejects(client.fineTuning.jobs.retrieve("ftjob-missing"), NotFoundError);

assert.equal((await client.models.delete(job.fine_tuned_model)).deleted, true);
assert.equal((await client.files.delete(train.id)).deleted, true);
const { version } = JSON.parse(fs.readFileSync("node_modules/openai/package.json"));
console.log(JSON.stringify({ version, job: job.id, model: job.fine_tuned_model }));
