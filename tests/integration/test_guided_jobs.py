"""Jobs with a `response_format`: completions follow it, graders read them as JSON, and the update is none the wiser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.jobs.types import Job, JobStatus, NewJob
from graders.base import FailureKind, GradeError
from tests.models import tiny_model
from tests.service import Service, rows
from worker.rollouts import Rollout, samples

Json = dict[str, Any]

SCHEMA: Json = {
    "type": "object",
    "properties": {"answer": {"enum": ["a", "b", "c"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
CHAT_SHAPE = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
FLAT_SHAPE = {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}
GRADER = {
    "type": "string_check",
    "name": "right",
    "input": "{{sample.output_json.answer}}",
    "reference": "{{item.wanted}}",
    "operation": "eq",
}
STEPS = 3


def create(service: Service, response_format: Json, *, max_completion_tokens: int) -> Job:
    files = {"training_file": service.upload(rows(4)), "validation_file": service.upload(rows(2))}
    reinforcement = {
        "grader": GRADER,
        "response_format": response_format,
        "hyperparameters": {"n_epochs": STEPS, "batch_size": 4, "eval_interval": 1, "eval_samples": 2},
    }
    request = {
        "model": "tiny",
        "method": {"type": "reinforcement", "reinforcement": reinforcement},
        "touchstone": {"samples_per_prompt": 8, "max_completion_tokens": max_completion_tokens, "learning_rate": 0.01},
        **files,
    }
    return service.jobs.create(NewJob(request=request, base_model="tiny", seed=7, **files))


@dataclass(frozen=True)
class Runs:
    """The same job in both shapes, and one whose completions have no room to become JSON."""

    service: Service
    job: Job
    flat: Job
    cut: Job

    def rollouts(self, job: Job) -> list[Rollout]:
        """All graded completions of a job."""
        steps = [(step, split) for step in range(STEPS + 1) for split in ("train", "valid")]
        return [rollout for step, split in steps for rollout in samples(self.service.rollouts(job.id, step, split))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        directory: Path = tmp_path_factory.mktemp("data")
        service = Service(directory, tiny_model(tmp_path_factory.mktemp("model")))
        wanted = [(CHAT_SHAPE, 60), (FLAT_SHAPE, 60), (CHAT_SHAPE, 3)]
        jobs = [create(service, shape, max_completion_tokens=tokens) for shape, tokens in wanted]
        with service.supervisor():
            jobs = [service.wait_for_end(job.id) for job in jobs]
        yield Runs(service, *jobs)
        service.close()


def test_every_completion_follows_the_schema(runs: Runs) -> None:
    assert (runs.job.status, runs.job.error) == (JobStatus.SUCCEEDED, None), runs.service.log()[-4000:]
    texts = [rollout.text for rollout in runs.rollouts(runs.job) if rollout.completion.stop_reason == "stop"]
    assert texts
    assert all(json.loads(text)["answer"] in ("a", "b", "c") for text in texts)


def test_graders_read_the_completion_as_json(runs: Runs) -> None:
    for rollout in runs.rollouts(runs.job):
        if rollout.completion.stop_reason == "stop":
            assert rollout.reward == float(json.loads(rollout.text)["answer"] == "a")


def test_both_shapes_make_the_same_run(runs: Runs) -> None:
    assert runs.service.outcome(runs.flat.id) == runs.service.outcome(runs.job.id)


def test_the_policy_that_is_updated_is_the_one_that_sampled(runs: Runs) -> None:
    ratios = [metrics["touchstone"]["update"]["ratio_max"] for metrics in runs.service.jobs.steps(runs.job.id, after_step=0)]
    assert len(ratios) == STEPS
    assert all(ratio < 1e-4 for ratio in ratios)


def test_a_completion_that_was_cut_off_has_no_json_to_grade(runs: Runs) -> None:
    results = [rollout.result for rollout in runs.rollouts(runs.cut)]
    assert results
    assert {result.kind for result in results if isinstance(result, GradeError)} == {FailureKind.SAMPLE_PARSE}
    assert all(isinstance(result, GradeError) for result in results)
