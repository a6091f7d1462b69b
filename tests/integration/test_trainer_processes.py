"""Jobs whose updates several processes compute, against jobs of one: the same losses, also where a process is lost on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from core.jobs.types import Job, JobStatus
from tests.models import tiny_model
from tests.service import Service, kill, rows, runner_of

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(580)]

STEPS = 4
ADAPTERS = {"lora": {"type": "lora", "rank": 8, "alpha": 16}, "full": {"type": "full"}}
RATES = {"lora": 0.005, "full": 0.0003}
TWO = {"RFT_TRAINER_PROCESSES": "2"}
FIGURES = ("loss", "policy_loss", "kl", "entropy", "grad_norm")


@dataclass(frozen=True)
class Bench:
    """A service, whose supervisor may start runners of several processes."""

    service: Service

    def job(self, adapter: str) -> Job:
        options = {"samples_per_prompt": 8, "max_completion_tokens": 12, "learning_rate": RATES[adapter], "kl_coef": 0.1}
        return self.service.create(
            train=rows(8),
            valid=rows(4),
            hyperparameters={"n_epochs": STEPS // 2, "batch_size": 4, "eval_interval": 2},
            options={**options, "adapter": ADAPTERS[adapter], "final_checkpoint": "last"},
        )

    def end(self, job: Job) -> Job:
        job = self.service.wait_for_end(job.id)
        assert (job.status, job.error) == (JobStatus.SUCCEEDED, None), self.service.log()[-4000:]
        return job

    def updates(self, job: Job) -> list[Any]:
        return [metrics["touchstone"]["update"] for metrics in self.service.jobs.steps(job.id, after_step=0)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        service = Service(tmp_path_factory.mktemp("data"), tiny_model(tmp_path_factory.mktemp("model")))
        yield Bench(service)
        service.close()


@pytest.fixture(scope="module")
def by_one(bench: Bench) -> dict[str, Job]:
    """Jobs of one process, by what they train."""
    with bench.service.supervisor():
        return {adapter: bench.end(bench.job(adapter)) for adapter in ADAPTERS}


@pytest.fixture(scope="module")
def by_two(bench: Bench) -> dict[str, Job]:
    """The same jobs, of two processes."""
    with bench.service.supervisor(**TWO):
        return {adapter: bench.end(bench.job(adapter)) for adapter in ADAPTERS}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_two_processes_end_a_job_with_the_losses_of_one(
    bench: Bench, by_one: dict[str, Job], by_two: dict[str, Job], adapter: str
) -> None:
    one, two = bench.updates(by_one[adapter]), bench.updates(by_two[adapter])
    assert len(one) == STEPS
    for figure in FIGURES:
        assert [update[figure] for update in two] == pytest.approx([update[figure] for update in one], abs=1e-5), figure


def test_a_rank_that_is_killed_costs_nothing_but_time(bench: Bench, by_two: dict[str, Job]) -> None:
    service, job = bench.service, bench.job("lora")
    with service.supervisor(**TWO) as supervisor:
        service.wait_for_step(job.id, 1)
        ranks = ranks_of(runner_of(supervisor))
        kill(ranks[1])
        service.wait(lambda: not ranks[0].is_running())
        bench.end(job)
    assert service.outcome(job.id) == service.outcome(by_two["lora"].id)


def test_no_process_outlives_a_runner_that_is_killed(bench: Bench) -> None:
    service, job = bench.service, bench.job("lora")
    with service.supervisor(**TWO) as supervisor:
        service.wait_for_step(job.id, 1)
        runner = runner_of(supervisor)
        ranks = ranks_of(runner)
        kill(runner)
        _, alive = psutil.wait_procs(ranks, timeout=60)
        assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def ranks_of(runner: psutil.Process | None) -> list[psutil.Process]:
    """The processes that compute updates, the leading one first."""
    assert runner is not None
    ranks = [child for child in runner.children() if "worker.runner" in child.cmdline()]
    assert len(ranks) == 2
    return sorted(ranks, key=lambda process: int(process.environ()["RANK"]))
