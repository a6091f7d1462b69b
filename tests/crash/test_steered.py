"""Pause, resume and cancel while a runner is at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs import state
from core.jobs.types import JobCommand, JobStatus
from tests.service import Service, rows, runner_of

from .conftest import Bench


def test_a_paused_job_lets_go_of_its_lease_and_resumes_to_the_same_bits(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 3)
        assert service.jobs.command(job.id, JobCommand.PAUSE).status is JobStatus.PAUSED
        service.wait(lambda: service.lease_owner(job.id) is None and runner_of(supervisor) is None)
        assert service.jobs.get(job.id).status is JobStatus.PAUSED
        service.jobs.command(job.id, JobCommand.RESUME)
        ended = service.wait_for_end(job.id)
    messages = [event.message for event in service.history(job.id)]
    assert [message for message in messages if message in {state.PAUSED, state.RESUMED, state.CONTINUED, state.WORKER_LOST}] == [
        state.PAUSED,
        state.RESUMED,
        state.CONTINUED,
    ]
    bench.assert_same_end(ended)


def test_a_paused_job_can_be_used_where_it_stands(tmp_path: Path, model: Path) -> None:
    """Without validation every border between sampling batches lies behind a committed step."""
    service = Service(tmp_path / "data", model)
    options = {"samples_per_prompt": 4, "max_completion_tokens": 4}
    job = service.create(train=rows(8), hyperparameters={"n_epochs": 50, "batch_size": 1}, options=options)
    with service.supervisor():
        service.wait_for_step(job.id, 3)
        service.jobs.command(job.id, JobCommand.PAUSE)
        service.wait(lambda: service.lease_owner(job.id) is None)
    (checkpoint,) = service.jobs.checkpoints(job.id, after=None, limit=9).data
    assert checkpoint.step == service.jobs.get(job.id).step
    service.close()


@pytest.mark.heavy
def test_a_job_resumed_before_its_runner_let_go_ends_with_the_same_bits(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor():
        service.wait_for_step(job.id, 3)
        service.jobs.command(job.id, JobCommand.PAUSE)
        service.jobs.command(job.id, JobCommand.RESUME)
        ended = service.wait_for_end(job.id)
    bench.assert_same_end(ended)


def test_cancelling_ends_the_runner_and_nothing_is_written_afterwards(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 2)
        runner = runner_of(supervisor)
        assert service.jobs.command(job.id, JobCommand.CANCEL).status is JobStatus.CANCELLED
        before = service.tables(job.id)
        service.wait(lambda: not runner.is_running())
    assert service.tables(job.id) == before
    assert service.history(job.id)[-1].message == state.CANCELLED


def test_a_budget_of_seconds_pauses_the_job_once(bench: Bench) -> None:
    service, job = bench.service, bench.job(budget_seconds=0.001)
    with service.supervisor():
        service.wait(lambda: service.jobs.get(job.id).status is JobStatus.PAUSED and service.lease_owner(job.id) is None)
        assert [event.level for event in service.history(job.id)].count("warn") == 1
        service.jobs.command(job.id, JobCommand.RESUME)
        ended = service.wait_for_end(job.id)
    assert ended.status is JobStatus.SUCCEEDED


@pytest.mark.heavy
def test_a_job_resumed_with_a_higher_budget_pauses_again_when_that_is_used(bench: Bench) -> None:
    service, job = bench.service, bench.job(budget_seconds=0.001)
    with service.supervisor():
        service.wait_for_pause(job.id)
        paused = service.jobs.get(job.id)
        assert paused.error == {"code": "budget_used", "message": "The job has used its budget of 0.001 seconds.", "param": None}
        resumed = service.jobs.command(job.id, JobCommand.RESUME, budget_seconds=paused.train_seconds + 0.001)
        assert resumed.error is None
        service.wait_for_pause(job.id)
        assert service.jobs.get(job.id).step > paused.step
        service.jobs.command(job.id, JobCommand.RESUME)
        bench.assert_same_end(service.wait_for_end(job.id))


@pytest.mark.heavy
def test_a_job_paused_in_an_evaluation_keeps_its_last_committed_step_and_resumes_to_the_same_bits(
    tmp_path: Path, model: Path
) -> None:
    service = Service(tmp_path / "data", model)
    options = {"samples_per_prompt": 4, "max_completion_tokens": 4, "learning_rate": 0.005, "final_checkpoint": "last"}
    steps = {"n_epochs": 2, "batch_size": 4, "eval_interval": 2, "eval_samples": 64}
    paused, twin = (service.create(train=rows(8), valid=rows(16), hyperparameters=steps, options=options) for _ in range(2))
    with service.supervisor():
        service.wait(lambda: service.jobs.batches(paused.id, step=4, split="valid"))
        service.jobs.command(paused.id, JobCommand.PAUSE)
        service.wait(lambda: service.lease_owner(paused.id) is None)
        assert service.jobs.get(paused.id).step == 3
        assert [checkpoint.step for checkpoint in service.jobs.checkpoints(paused.id, after=None, limit=9).data] == [3, 2]
        service.jobs.command(paused.id, JobCommand.RESUME)
        ended = [service.wait_for_end(job.id) for job in (paused, twin)]
    assert [job.status for job in ended] == [JobStatus.SUCCEEDED] * 2
    assert service.outcome(paused.id) == service.outcome(twin.id)
    service.close()
