"""A job on the vLLM engine, from its creation to its end through the supervisor, paused and crashed on its way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml

from core.jobs.types import Job, JobCommand, JobStatus
from tests.service import Service, kill, rows, runner_of
from worker.canary import LIMITS

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(580)]

STEPS = 8
HYPERPARAMETERS = {"n_epochs": STEPS // 2, "batch_size": 4, "eval_interval": 4, "eval_samples": 4}
OPTIONS = {"samples_per_prompt": 16, "max_completion_tokens": 12, "learning_rate": 0.02}


@dataclass
class Run:
    service: Service
    job: Job
    orphans: list[psutil.Process] = field(default_factory=list)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, directory: Path) -> Iterator[Run]:
    """Paused after its first step and resumed; after its third its runner was killed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        patch.setenv("RFT_VLLM_EAGER", "true")
        service = Service(tmp_path_factory.mktemp("data"), directory)
        models = service.directory / "models.yaml"
        models.write_text(yaml.safe_dump({"models": {"tiny": {"source": str(directory), "engine": "vllm"}}}))
        job = service.create(train=rows(8), valid=rows(4), hyperparameters=HYPERPARAMETERS, options=OPTIONS)
        run = Run(service, job)
        with service.supervisor() as supervisor:
            service.wait_for_step(job.id, 1)
            service.jobs.command(job.id, JobCommand.PAUSE)
            service.wait_for_pause(job.id)
            service.jobs.command(job.id, JobCommand.RESUME)
            service.wait_for_step(job.id, 3)
            runner = runner_of(supervisor)
            assert runner is not None
            run.orphans = runner.children(recursive=True)
            kill(runner)
            run.job = service.wait_for_end(job.id)
        yield run
        service.close()


def test_the_job_succeeds(run: Run) -> None:
    assert (run.job.status, run.job.error) == (JobStatus.SUCCEEDED, None), run.service.log()[-4000:]
    assert [m["step"] for m in run.service.jobs.steps(run.job.id, after_step=-1)] == list(range(STEPS + 1))


def test_every_sync_is_proven(run: Run) -> None:
    steps = run.service.jobs.steps(run.job.id, after_step=0)
    differences = [metrics["touchstone"]["sync_difference"] for metrics in steps]
    assert all(0 <= difference < LIMITS["float32"] for difference in differences)


def test_the_sampler_is_the_policy_that_is_updated(run: Run) -> None:
    ratios = [metrics["touchstone"]["update"]["ratio_max"] for metrics in run.service.jobs.steps(run.job.id, after_step=0)]
    assert all(ratio < 1e-3 for ratio in ratios)


def test_the_reward_is_learned(run: Run) -> None:
    rewards = [m["train_mean_reward"] for m in run.service.jobs.steps(run.job.id, after_step=0)]
    assert max(rewards[-2:]) > rewards[0]


def test_no_process_of_an_engine_outlives_its_runner(run: Run) -> None:
    assert len(run.orphans) >= 2
    _, alive = psutil.wait_procs(run.orphans, timeout=30)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
