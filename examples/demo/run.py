"""The demo: a real model learns a real task on this machine, driven by the unmodified `openai` client.

Starts the service, uploads data, submits a grader and a job, follows the reward curve, downloads the adapter, chats with the
model before and after, and leaves `summary.json`, `rewards.csv`, `reward.png`, the adapter and, where there is a Chromium, a
screenshot of the job's page (`dashboard.png`) in `build/demo/` (or `DEMO_DIR`).
`DEMO_SEED` is the job's seed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai._legacy_response import HttpxBinaryResponseContent

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "examples" / "precise_instructions"), str(ROOT / "examples" / "demo")]

import grader_answer  # noqa: E402
import grader_share  # noqa: E402
from build_grader import grader  # noqa: E402
from picture import draw_curve  # noqa: E402
from proof import prove  # noqa: E402
from screenshot import keep_screenshot  # noqa: E402
from service import KEY, served  # noqa: E402

MODEL = "smollm2-135m-instruct"
TASK = "Write two short sentences about {topic}. Every sentence must start with the letter A."
UNSEEN_TOPICS = ("tigers", "volcanoes", "breakfast", "robots", "the weather", "violins")
"""In neither file."""
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 1.5, "eval_interval": 4, "eval_samples": 1}
OUT = Path(os.environ.get("DEMO_DIR", ROOT / "build" / "demo"))
DATA = ROOT / "examples" / "precise_instructions"


def main() -> None:
    """Run the demo with the seed of `DEMO_SEED`."""
    begin, seed = time.monotonic(), int(os.environ.get("DEMO_SEED", "1"))
    shutil.rmtree(OUT, ignore_errors=True)
    with served(OUT / "data") as base_url:
        client = OpenAI(base_url=base_url, api_key=KEY)
        prompts = [TASK.format(topic=topic) for topic in UNSEEN_TOPICS]
        before = [answer(client, MODEL, prompt) for prompt in prompts]
        job = submit(client, seed)
        metrics = follow(client, job.id)
        job = client.fine_tuning.jobs.retrieve(job.id)
        if job.status != "succeeded":
            raise SystemExit(f"The job ended {job.status}: {job.error}")
        after = [answer(client, str(job.fine_tuned_model), prompt) for prompt in prompts]
        download(client, job.id)
        events = client.fine_tuning.jobs.list_events(job.id, limit=100)
        started = next(event for event in events if event.message == "Fine-tuning job started")
        page = f"/dashboard/jobs/{job.id}"
        no_screenshot = keep_screenshot(base_url.removesuffix("/v1") + page, KEY, OUT / "dashboard.png")
    base_dir = Path(os.environ["RFT_MODEL_DIR"]) / MODEL
    proof = prove(base_dir, OUT / "adapter", list(zip(prompts, after, strict=True)))
    show_answers(prompts, before, after)
    unseen = [mean_reward(answers) for answers in (before, after)]
    print(f"\nMean reward of these greedy answers: {unseen[0]:.3f} -> {unseen[1]:.3f}")
    print(
        f"Plain peft with the downloaded adapter: {proof.same_answers} of {proof.answers} greedy answers are the service's; "
        f"largest difference of a log-probability {proof.largest_logprob_difference:.1e}."
    )
    summary = summarise(metrics, seed) | {
        "train_seconds": job.finished_at - started.created_at,
        "total_seconds": time.monotonic() - begin,
        "base_model_dir": str(base_dir),
        "unseen_reward_before": unseen[0],
        "unseen_reward_after": unseen[1],
        "peft_same_answers": f"{proof.same_answers}/{proof.answers}",
        "peft_largest_logprob_difference": proof.largest_logprob_difference,
    }
    (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    draw_curve(metrics, OUT / "reward.png")
    print(
        f"Validation reward {summary['valid_reward_before']:.3f} -> {summary['valid_reward_after']:.3f} "
        f"in {summary['steps']} steps, "
        f"{summary['train_seconds']:.0f} s of training; everything is in {OUT}/"
    )
    told = f"no screenshot of it: {no_screenshot}" if no_screenshot else f"a screenshot is {OUT / 'dashboard.png'}"
    print(f"The job's page ({told}):\n  RFT_DATA_DIR={OUT / 'data'} rft serve, then http://127.0.0.1:8000{page}")


def answer(client: OpenAI, model: str, prompt: str) -> Any:
    """A greedy chat completion with log-probabilities."""
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=40, logprobs=True
    )


def mean_reward(answers: list[Any]) -> float:
    """The task's own reward of some answers on the unseen topics, computed here, outside the service."""
    rewards = []
    for topic, completion in zip(UNSEEN_TOPICS, answers, strict=True):
        sample = {"output_text": completion.choices[0].message.content}
        item = {"keywords": [topic.removeprefix("the ").removesuffix("es").removesuffix("s")]}
        rewards.append(grader_share.grade(sample, item) * grader_answer.grade(sample, item))
    return sum(rewards) / len(rewards)


def submit(client: OpenAI, seed: int) -> Any:
    """Upload both files, check the grader, create the job."""
    files = [
        client.files.create(file=(DATA / f"{name}.jsonl").open("rb"), purpose="fine-tune") for name in ("train", "validation")
    ]
    client.fine_tuning.alpha.graders.validate(grader=grader())  # type: ignore[arg-type]
    return client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=files[0].id,
        validation_file=files[1].id,
        seed=seed,
        suffix="letter-a",
        method={
            "type": "reinforcement",
            "reinforcement": {
                "grader": grader(),  # type: ignore[typeddict-item]
                "hyperparameters": HYPERPARAMETERS,
            },
        },
        extra_body={"touchstone": {"max_completion_tokens": 40}},
    )


def follow(client: OpenAI, job_id: str) -> list[dict[str, Any]]:
    """Print the curve as it grows; all steps' metrics at the end."""
    print(f"job {job_id}: the reward of each step (o: on held-out topics)")
    seen: list[dict[str, Any]] = []
    while True:
        status = client.fine_tuning.jobs.retrieve(job_id).status
        last = seen[-1]["step"] if seen else -1
        page: Any = client.get(f"/fine_tuning/jobs/{job_id}/metrics?after_step={last}", cast_to=object)
        for metrics in page["data"]:
            seen.append(metrics)
            print_step(metrics)
        if status in ("succeeded", "failed", "cancelled"):
            return seen
        time.sleep(1)


def print_step(metrics: dict[str, Any]) -> None:
    """One line of the curve."""
    train, valid = metrics["train_mean_reward"], metrics["full_valid_mean_reward"]
    bar = "#" * round(40 * max(train or 0.0, 0.0))
    text = "" if train is None else f"{train:.3f} {bar}"
    print(
        f"{metrics['step']:4d}/{metrics['total_steps']}  {text}{'' if valid is None else f'  o validation {valid:.3f}'}",
        flush=True,
    )


def download(client: OpenAI, job_id: str) -> None:
    """The best checkpoint's adapter, and the curve as CSV."""
    route = f"/fine_tuning/jobs/{job_id}"
    weights = client.get(f"{route}/checkpoints/best/weights?format=adapter", cast_to=HttpxBinaryResponseContent)
    with tarfile.open(fileobj=io.BytesIO(weights.content)) as tar:
        tar.extractall(OUT / "adapter", filter="data")
    curve = client.get(f"{route}/metrics?format=csv", cast_to=HttpxBinaryResponseContent)
    (OUT / "rewards.csv").write_bytes(curve.content)


def show_answers(prompts: list[str], before: list[Any], after: list[Any]) -> None:
    """The base beside the tuned model, on topics in neither file."""
    for prompt, base, tuned in zip(prompts, before, after, strict=True):
        print(f"\n{prompt}\n  base:  {base.choices[0].message.content!r}\n  tuned: {tuned.choices[0].message.content!r}")


def summarise(metrics: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """What the demo reached."""
    validated = [step for step in metrics if step["full_valid_mean_reward"] is not None]
    return {
        "model": MODEL,
        "task": TASK,
        "seed": seed,
        "steps": metrics[-1]["step"],
        "peak_rss_bytes": metrics[-1]["touchstone"]["peak_rss_bytes"],
        "valid_reward_before": validated[0]["full_valid_mean_reward"],
        "valid_reward_after": max(step["full_valid_mean_reward"] for step in validated[1:]),
        "train_file": str(DATA / "train.jsonl"),
        "validation_file": str(DATA / "validation.jsonl"),
        "adapter_dir": str(OUT / "adapter"),
        "device": "cpu",
    }


if __name__ == "__main__":
    main()
