"""Jobs that sample one step ahead and replace groups without spread: disturbed they end with the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.jobs.types import Job, JobCommand, JobStatus
from tests.service import Outcome, Service, kill, rows, runner_of

STEPS = 6
HYPERPARAMETERS = {"n_epochs": 2, "batch_size": 4, "eval_interval": 3}
OPTIONS = {
    "samples_per_prompt": 4,  # few enough for groups without spread
    "max_completion_tokens": 8,
    "learning_rate": 0.005,
    "final_checkpoint": "last",
    "max_staleness": 1,
    "dynamic_sampling": {"max_rounds": 2},
}


@dataclass(frozen=True)
class Undisturbed:
    """A service, and a job that ended there."""

    service: Service
    job: Job

    @property
    def end(self) -> Outcome:
        return self.service.outcome(self.job.id)


def create(service: Service) -> Job:
    return service.create(train=rows(12), valid=rows(4), hyperparameters=HYPERPARAMETERS, options=OPTIONS)


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        service = Service(tmp_path_factory.mktemp("whole"), model)
        job = service.run(create(service))
    assert job.status is JobStatus.SUCCEEDED, service.log()[-4000:]
    yield Undisturbed(service, job)
    service.close()


@pytest.fixture
def service(whole: Undisturbed, model: Path, tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "data", model)
    yield service
    service.close()


def test_each_step_is_sampled_by_the_policy_one_update_behind(whole: Undisturbed) -> None:
    versions = {
        step: {batch.policy_version for batch in whole.service.rollouts(whole.job.id, step, "train")}
        for step in range(1, STEPS + 1)
    }
    assert versions == {1: {0}, **{step: {step - 2} for step in range(2, STEPS + 1)}}
    steps = whole.service.jobs.steps(whole.job.id, after_step=0)
    assert [metrics["touchstone"]["staleness"] for metrics in steps] == [0, 1, 1, 1, 1, 1]


def test_the_importance_of_stale_samples_is_not_one(whole: Undisturbed) -> None:
    ratios = [m["touchstone"]["update"]["ratio_max"] for m in whole.service.jobs.steps(whole.job.id, after_step=0)]
    assert ratios[0] < 1e-4
    assert all(ratio > 1e-4 for ratio in ratios[1:])


def test_validation_shows_the_newest_policy(whole: Undisturbed) -> None:
    for step in (0, 3, 6):
        assert {batch.policy_version for batch in whole.service.rollouts(whole.job.id, step, "valid")} == {step}


def test_groups_without_spread_are_replaced_by_other_prompts(whole: Undisturbed) -> None:
    replaced = 0
    for metrics in whole.service.jobs.steps(whole.job.id, after_step=0):
        own, *extra = whole.service.rollouts(whole.job.id, metrics["step"], "train")
        figures = metrics["touchstone"]["dynamic_sampling"]
        live = [example for batch in (own, *extra) for example, group in batch.groups() if any(r.advantage for r in group)]
        examples = [example for batch in (own, *extra) for example, _ in batch.groups()]
        assert len(set(examples)) == len(examples)
        assert [batch.index for batch in extra] == list(range(1, len(extra) + 1))
        assert figures["extra_batches"] == len(extra) <= 2
        assert figures["extra_groups"] == len(examples) - 4
        assert figures["groups_with_spread_after"] == len(live) / 4
        replaced += figures["groups_with_spread_after"] > figures["groups_with_spread_before"]
    assert replaced


@pytest.mark.heavy
def test_killed_and_paused_while_it_samples_ahead_a_job_ends_with_the_same_bits(whole: Undisturbed, service: Service) -> None:
    job = create(service)
    with service.supervisor() as supervisor:
        service.wait(lambda: service.jobs.batches(job.id, step=3, split="train"))
        kill(runner_of(supervisor))
        service.wait_for_step(job.id, 4)
        service.jobs.command(job.id, JobCommand.PAUSE)
        service.wait_for_pause(job.id)
        service.jobs.command(job.id, JobCommand.RESUME)
        ended = service.wait_for_end(job.id)
    assert ended.status is JobStatus.SUCCEEDED, service.log()[-4000:]
    assert service.outcome(job.id) == whole.end
