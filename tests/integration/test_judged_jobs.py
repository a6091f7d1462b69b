"""Real jobs whose rewards come from judges: they run, they count, and they pause where the grader is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.jobs.types import JobCommand, JobStatus
from graders.base import Grade, TokenUsage
from tests.judge import Asked, Said, Server, error, serving, verdict
from tests.models import tiny_model
from tests.service import HAS_AN_A, Service, rows

JUDGE = "gpt-4.1-2025-04-14"
SHORT = {"n_epochs": 1, "batch_size": 2, "eval_interval": 2}
FEW = {"samples_per_prompt": 4, "max_completion_tokens": 4}
A_STEP = 8
"""Samples of a step's training."""
SCORE = {
    "type": "score_model",
    "name": "judged",
    "model": JUDGE,
    "input": [{"role": "user", "content": "Score: {{sample.output_text}}"}],
}
LABEL = {
    "type": "label_model",
    "name": "labelled",
    "model": JUDGE,
    "input": [{"role": "user", "content": "Label: {{sample.output_text}}"}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}


def script(asked: Asked) -> Said:
    """Judges by the length of the text, as a judge of either kind."""
    text = asked.body["messages"][-1]["content"]
    return verdict("good" if len(text) % 2 else "bad") if text.startswith("Label") else verdict(len(text) % 5 / 4)


@pytest.fixture
def judge() -> Iterator[Server]:
    with serving(script) as server:
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def service(tmp_path: Path, model: Path, judge: Server) -> Iterator[Service]:
    judges = {JUDGE: {"base_url": f"{judge.url}/v1", "model": "there", "concurrency": 4, "timeout_seconds": 5}}
    service = Service(tmp_path / "data", model, judges=judges)
    yield service
    service.close()


def test_a_judge_and_labels_train_a_model(service: Service, judge: Server) -> None:
    grader = {"type": "multi", "name": "both", "graders": {"s": SCORE, "l": LABEL}, "calculate_output": "0.5 * s + 0.5 * l"}
    job = service.run(service.create(train=rows(4), valid=rows(2), grader=grader, hyperparameters=SHORT, options=FEW))
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None), service.log()[-4000:]
    metrics = service.jobs.steps(job.id, after_step=1)[0]
    assert [grader["model"] for grader in metrics["usage"]["graders"]] == [None, JUDGE, JUDGE]
    assert [grader["train_prompt_tokens_count"] for grader in metrics["usage"]["graders"]] == [0, 8 * 11, 8 * 11]
    assert metrics["model_graders_token_usage"][JUDGE]["train_completion_tokens"] == 16 * 7
    assert metrics["model_graders_token_usage"][JUDGE]["eval_cached_tokens"] > 0
    assert metrics["timing"]["graders"][1]["train_execution_latency_mean"] > 0
    (batch,) = service.rollouts(job.id, 2, "train")
    for rollout in batch.rollouts:
        assert isinstance(rollout.result, Grade)
        assert rollout.result.usage == {JUDGE: TokenUsage(22, 14, 6)}
        assert rollout.reward == sum(part.score for part in rollout.result.parts.values()) / 2
    asked = len(judge.asked)
    assert job.usage["grader_tokens"][JUDGE]["prompt_tokens"] == asked * 11


def test_a_judge_that_goes_away_pauses_the_job_and_a_resume_goes_on_at_that_batch(service: Service, judge: Server) -> None:
    judge.script = lambda asked: script(asked) if len(judge.asked) <= A_STEP else error(400, "no such model")
    job = service.create(train=rows(4), grader=SCORE, hyperparameters=SHORT, options=FEW)
    with service.supervisor():
        service.wait_for_pause(job.id)
        (event,) = [event for event in service.history(job.id) if event.level == "error"]
        assert "model_grader_server_error: the judge's server answered with status 400: no such model" in event.message
        assert event.data["example"]["kind"] == "model_grader_server"
        assert service.jobs.get(job.id).step == 1
        assert not service.rollouts(job.id, 2, "train")
        judge.script = script
        service.jobs.command(job.id, JobCommand.RESUME)
        job = service.wait_for_end(job.id)
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None)
    metrics: Any = service.jobs.steps(job.id, after_step=0)
    assert [step["mean_unresponsive_rewards"] for step in metrics] == [0.0, 0.0]


def test_a_grader_that_mostly_fails_pauses_the_job_and_a_corrected_one_ends_it(service: Service) -> None:
    source = "def grade(sample, item):\n    raise ValueError('the third column is missing')\n"
    grader = {"type": "python", "name": "broken", "source": source}
    job = service.create(train=rows(8), grader=grader, hyperparameters=SHORT, options=FEW)
    with service.supervisor():
        service.wait_for_pause(job.id)
        service.jobs.command(job.id, JobCommand.RESUME, grader=HAS_AN_A)
        assert service.wait_for_end(job.id).status is JobStatus.SUCCEEDED
    assert [step["mean_unresponsive_rewards"] for step in service.jobs.steps(job.id, after_step=0)] == [1.0, *[0.0] * 3]
    (event,) = [event for event in service.history(job.id) if event.level == "error"]
    assert "16 of the last 16 samples have no grade, more than grader_error_limit (0.5) allows" in event.message
    assert "the third column is missing" in event.message
    assert event.data["errors"] == {"python_grader_runtime_error": 16}


def test_a_judge_without_its_key_fails_the_job(tmp_path: Path, model: Path) -> None:
    """No outage: nobody has to wait for it."""
    judges = {JUDGE: {"base_url": "http://127.0.0.1:9/v1", "model": "there", "api_key_env": "NO_SUCH_KEY"}}
    service = Service(tmp_path / "data", model, judges=judges)
    job = service.run(service.create(train=rows(2), grader=SCORE, hyperparameters=SHORT, options=FEW))
    assert job.status is JobStatus.FAILED
    assert "has not set its API key" in job.error["message"]
    service.close()
