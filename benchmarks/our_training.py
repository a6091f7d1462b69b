"""A training run of ours as its users have it: `rft serve`, a job through the `openai` client, its metrics as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import OpenAI

from benchmarks.service import KEY, served
from benchmarks.training_tasks import MODEL_DIR, MODEL_ID, Json, Task

_POLL_SECONDS = 1.0
_ENDED = ("succeeded", "failed", "cancelled")


@contextmanager
def client(data: Path) -> Iterator[OpenAI]:
    """An `openai` client of a service over `data`, which may hold an earlier run's jobs."""
    settings = {"RFT_MODEL_DIR": str(MODEL_DIR), "RFT_SANDBOX_LEVEL": "none"}
    with served(data, settings) as service:
        yield OpenAI(base_url=service.base_url, api_key=KEY)


def submit(openai: OpenAI, task: Task, seed: int, hyperparameters: Json) -> str:
    """Upload the task's files and create a job; its id."""
    files = {split: openai.files.create(file=task.file(split), purpose="fine-tune") for split in ("train", "validation")}
    reinforcement: Any = {"grader": task.grader(), "hyperparameters": hyperparameters}
    return openai.fine_tuning.jobs.create(
        model=MODEL_ID,
        training_file=files["train"].id,
        validation_file=files["validation"].id,
        seed=seed,
        method={"type": "reinforcement", "reinforcement": reinforcement},
        extra_body={"touchstone": {"max_completion_tokens": task.tokens}},
    ).id


def follow(openai: OpenAI, job_id: str, is_enough: Callable[[Json], bool]) -> list[Json]:
    """Metrics of every step up to the job's end, or up to the one that is enough: then the job is cancelled."""
    seen: list[Json] = []
    while True:
        job = openai.fine_tuning.jobs.retrieve(job_id)
        last = seen[-1]["step"] if seen else -1
        page: Any = openai.get(f"/fine_tuning/jobs/{job_id}/metrics?after_step={last}", cast_to=object)
        for metrics in page["data"]:
            seen.append(metrics)
            if is_enough(metrics):
                if job.status not in _ENDED:
                    openai.fine_tuning.jobs.cancel(job_id)
                return seen
        if job.status == "succeeded":
            return seen
        if job.status in _ENDED:
            raise SystemExit(f"the job ended {job.status}: {job.error}")
        time.sleep(_POLL_SECONDS)


def seconds_of(metrics: Json) -> float:
    """Wall time of a step without its evaluation."""
    timing = metrics["timing"]["step"]
    return float(timing["full_iteration"] - timing["eval"])
