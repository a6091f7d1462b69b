"""Runners and supervisors killed at chosen moments: the job ends with the bits of a run that nothing disturbed."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import psutil

from core.jobs import state
from core.jobs.types import Job
from tests.service import Service, kill, runner_of

from .conftest import Bench


def step_under_way(service: Service, job: Job) -> int | None:
    """A validated step whose tokens are kept while it is not committed: its update, evaluation or checkpoint is under way."""
    committed = service.jobs.get(job.id).step
    pending = [step for step in (2, 4, 6) if step > committed]
    return next((step for step in pending if service.jobs.batches(job.id, step=step, split="train")), None)


def test_a_killed_runner_is_replaced(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 2)
        kill(runner_of(supervisor))
        ended = service.wait_for_end(job.id)
    assert [event.message for event in service.history(job.id)].count(state.WORKER_LOST) == 1
    bench.assert_same_end(ended)


def test_a_runner_killed_between_batch_and_commit_loses_nothing(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        step = service.wait(lambda: step_under_way(service, job))
        kill(runner_of(supervisor))
        kept = service.jobs.batches(job.id, step=step, split="train")
        ended = service.wait_for_end(job.id)
    assert service.jobs.batches(job.id, step=step, split="train") == kept
    bench.assert_same_end(ended)


def test_a_runner_dies_with_its_supervisor_and_another_goes_on(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 3)
        runner = runner_of(supervisor)
        kill(supervisor)
        psutil.wait_procs([runner], timeout=60)
        assert not runner.is_running()
    bench.assert_same_end(service.run(job))


def test_a_terminated_supervisor_hands_its_job_over(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 1)
        runner = runner_of(supervisor)
        supervisor.terminate()
        service.wait(lambda: not supervisor.is_running() or supervisor.poll() is not None)
        assert not runner.is_running()
        assert service.lease_owner(job.id) is None
    bench.assert_same_end(service.run(job))


def test_a_frozen_runner_that_wakes_after_its_lease_changes_nothing(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as frozen:
        service.wait_for_step(job.id, 2)
        runner = runner_of(frozen)
        freeze(service, frozen, runner)
        ended = service.run(job)
        before = service.tables(job.id)
        runner.send_signal(signal.SIGCONT)
        service.wait(lambda: not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE)
        assert service.tables(job.id) == before
        frozen.send_signal(signal.SIGCONT)
    assert service.tables(job.id) == before
    bench.assert_same_end(ended)


def freeze(service: Service, *processes: psutil.Process) -> None:
    """Stop the processes at a moment at which none of them holds SQLite's one write lock: no one else could write then."""
    while True:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        if is_writable(service):
            return
        for process in processes:
            process.send_signal(signal.SIGCONT)
        time.sleep(0.05)


def is_writable(service: Service) -> bool:
    with closing(sqlite3.connect(service.directory / "touchstone.db", timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True
