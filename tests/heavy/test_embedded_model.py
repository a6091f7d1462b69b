"""Jobs on the embedded model: the same bits however a run was disturbed, and the example of sums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.types import JobStatus
from tests.service import Json, Service, kill, runner_of

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

SUMS = Path(__file__).resolve().parents[2] / "examples" / "sums"
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "eval_interval": 2, "eval_samples": 1}
OPTIONS = {"max_completion_tokens": 8, "learning_rate": 1e-4}


def examples(name: str, count: int) -> list[Json]:
    return [json.loads(line) for line in (SUMS / f"{name}.jsonl").read_text().splitlines()[:count]]


@pytest.fixture
def service(tmp_path: Path, model_dir: Path) -> Iterator[Service]:
    service = Service(tmp_path / "data", model_dir, threads=2)
    yield service
    service.close()


def job(service: Service, train: int) -> str:
    grader = json.loads((SUMS / "grader.json").read_text())
    files = {"train": examples("train", train), "valid": examples("validation", 8)}
    return service.create(**files, grader=grader, hyperparameters=HYPERPARAMETERS, options=OPTIONS).id


def test_the_example_of_sums_runs_and_grades(service: Service) -> None:
    job_id = job(service, 32)
    with service.supervisor():
        ended = service.wait_for_end(job_id)
    assert (ended.status, ended.step) == (JobStatus.SUCCEEDED, 8)
    rewards = {rollout.reward for batch in service.rollouts(job_id, 1, "train") for rollout in batch.rollouts}
    assert rewards == {0.0, 1.0}
    steps = service.jobs.steps(job_id, after_step=0)
    assert any(metrics["touchstone"]["groups_with_spread"] > 0 for metrics in steps)


def test_two_runs_and_a_killed_one_end_with_the_same_bits(service: Service) -> None:
    first, second, killed = (job(service, 16) for _ in range(3))
    with service.supervisor() as supervisor:
        service.wait_for_end(first)
        service.wait_for_end(second)
        service.wait_for_step(killed, 2)
        kill(runner_of(supervisor))
        service.wait_for_end(killed)
    assert service.jobs.get(killed).lease_epoch == 2
    assert service.outcome(first) == service.outcome(second) == service.outcome(killed)
