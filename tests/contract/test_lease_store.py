"""`LeaseStore` on SQLite and PostgreSQL: who may run a job, and until when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import LeaseLost
from core.jobs.base import LeaseStore
from core.jobs.state import MAX_ATTEMPTS
from core.jobs.types import JobCommand, JobStatus, Lease

from .parts import PLAN, TTL, Parts, step

ERROR = {"code": "invalid_training_file", "message": "Line 3 is no JSON.", "param": "training_file"}


def test_nothing_is_due_in_the_beginning(parts: Parts) -> None:
    store: LeaseStore = parts.leases
    parts.created()
    assert store.claim("one", TTL) is None


def test_unvalidated_gives_the_oldest_first(parts: Parts) -> None:
    parts.queued()
    older, newer = parts.created(), parts.created()
    assert parts.leases.unvalidated() == (older, newer)


def test_unvalidated_gives_none_where_all_are_checked(parts: Parts) -> None:
    parts.queued()
    assert parts.leases.unvalidated() == ()


def test_unvalidated_may_be_asked_for_one_job(parts: Parts) -> None:
    checked, one, _other = parts.queued(), parts.created(), parts.created()
    assert (parts.leases.unvalidated(one.id), parts.leases.unvalidated(checked.id)) == ((one,), ())


def test_validated_queues_and_tells(parts: Parts) -> None:
    job = parts.queued()
    assert job.status is JobStatus.QUEUED
    assert parts.messages(job.id)[-1] == "Files validated, moving job to queued state"


def test_rejected_fails_with_the_error(parts: Parts) -> None:
    job = parts.created()
    parts.leases.rejected(job, ERROR)
    failed = parts.store.get(job.id)
    assert (failed.status, failed.error, failed.finished_at) == (JobStatus.FAILED, ERROR, parts.clock.seconds)
    event = parts.events.list(job.id, after=None, limit=1).data[0]
    assert (event.message, event.level, event.data) == (ERROR["message"], "error", ERROR)


@pytest.mark.parametrize("verdict", ["validated", "rejected"])
def test_verdict_comes_too_late_for_a_cancelled_job(parts: Parts, verdict: str) -> None:
    job = parts.created()
    cancelled = parts.store.command(job.id, JobCommand.CANCEL)
    parts.leases.validated(job, PLAN) if verdict == "validated" else parts.leases.rejected(job, ERROR)
    assert parts.store.get(job.id) == cancelled


def test_second_verdict_changes_nothing(parts: Parts) -> None:
    job = parts.created()
    parts.leases.validated(job, PLAN)
    queued, told = parts.store.get(job.id), parts.messages(job.id)
    parts.leases.validated(job, {"total_steps": 99})
    assert (parts.store.get(job.id), parts.messages(job.id)) == (queued, told)


def test_claim_takes_the_oldest(parts: Parts) -> None:
    first, second = parts.queued(), parts.queued()
    assert [parts.claim().job_id, parts.claim().job_id] == [first.id, second.id]
    assert parts.leases.claim("one", TTL) is None


def test_first_claim_starts_the_job(parts: Parts) -> None:
    lease, _ = parts.running()
    job = parts.leases.job(lease)
    assert (job.status, job.lease_epoch, lease.epoch) == (JobStatus.RUNNING, 1, 1)
    assert job.started_at == parts.clock.seconds
    assert parts.messages(job.id)[-1] == "Fine-tuning job started"


def test_lease_holds_until_it_expires(parts: Parts) -> None:
    parts.running()
    parts.clock.advance(TTL - 1)
    assert parts.leases.claim("two", TTL) is None


def test_expired_lease_passes_to_the_next(parts: Parts) -> None:
    first, _ = parts.running()
    parts.clock.advance(TTL)
    second = parts.claim("two")
    assert (second.job_id, second.epoch) == (first.job_id, first.epoch + 1)
    event = parts.events.list(first.job_id, after=None, limit=1).data[0]
    assert (event.level, event.message) == ("warn", "Worker lost; the job continues from its newest training state")


def test_start_is_told_once(parts: Parts) -> None:
    lease, _ = parts.running()
    started_at = parts.leases.job(lease).started_at
    parts.clock.advance(TTL)
    again = parts.claim()
    assert parts.messages(lease.job_id).count("Fine-tuning job started") == 1
    assert parts.leases.job(again).started_at == started_at


def test_renewed_lease_holds_longer(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.clock.advance(TTL - 1)
    parts.leases.renew(lease, TTL)
    parts.clock.advance(TTL - 1)
    assert parts.leases.claim("two", TTL) is None


def test_expired_lease_may_be_renewed_while_nobody_took_it(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.clock.advance(TTL + 1)
    parts.leases.renew(lease, TTL)
    assert parts.leases.claim("two", TTL) is None


def _passed_on(parts: Parts, lease: Lease) -> None:
    parts.clock.advance(TTL)
    parts.claim("two")


def _cancelled(parts: Parts, lease: Lease) -> None:
    parts.store.command(lease.job_id, JobCommand.CANCEL)


def _failed(parts: Parts, lease: Lease) -> None:
    parts.journal(lease).fail(ERROR)


def _released(parts: Parts, lease: Lease) -> None:
    parts.leases.release(lease)


@pytest.mark.parametrize("lose", [_passed_on, _cancelled, _failed, _released])
def test_lost_lease_is_neither_renewed_nor_read_and_releasing_it_does_nothing(parts: Parts, lose) -> None:
    lease, _ = parts.running()
    lose(parts, lease)
    job = parts.store.get(lease.job_id)
    with pytest.raises(LeaseLost):
        parts.leases.renew(lease, TTL)
    with pytest.raises(LeaseLost):
        parts.leases.job(lease)
    parts.leases.release(lease, delay=1000.0)
    assert parts.store.get(lease.job_id) == job


def test_releasing_a_lost_lease_leaves_the_new_one(parts: Parts) -> None:
    first, _ = parts.running()
    parts.clock.advance(TTL)
    second = parts.claim("two")
    parts.leases.release(first)
    assert parts.leases.claim("three", TTL) is None
    assert parts.leases.job(second).status is JobStatus.RUNNING


def test_released_running_job_is_due_after_the_delay(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.leases.release(lease, delay=10.0)
    early = parts.leases.claim("two", TTL)
    parts.clock.advance(10.0)
    assert (early, parts.claim("two").epoch) == (None, lease.epoch + 1)


def test_release_that_does_not_count_takes_back_the_attempt_where_there_is_one(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.commit_step(step(1))
    parts.leases.release(lease, counted=False)
    assert parts.store.get(lease.job_id).attempts == 0
    parts.leases.release(parts.claim(), counted=False)
    assert parts.store.get(lease.job_id).attempts == 0


def test_paused_job_is_not_due(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    parts.leases.release(lease)
    parts.clock.advance(10 * TTL)
    assert parts.leases.claim("two", TTL) is None


def test_resumed_job_waits_for_its_runner_to_let_go(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    parts.store.command(lease.job_id, JobCommand.RESUME)
    early = parts.leases.claim("two", TTL)
    parts.leases.release(lease)
    assert early is None
    assert parts.claim("two").epoch == lease.epoch + 1
    assert parts.messages(lease.job_id)[-1] == "Fine-tuning job continues from its newest training state"


def test_resumed_job_whose_runner_died_is_due_when_the_lease_expires(parts: Parts) -> None:
    lease, _ = parts.running()
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    parts.store.command(lease.job_id, JobCommand.RESUME)
    parts.clock.advance(TTL)
    assert parts.claim("two").epoch == lease.epoch + 1


def _lose_workers(parts: Parts, times: int) -> None:
    for _ in range(times):
        parts.claim()
        parts.clock.advance(TTL)


def test_job_that_loses_every_worker_is_failed(parts: Parts) -> None:
    job = parts.queued()
    _lose_workers(parts, MAX_ATTEMPTS)
    assert parts.leases.claim("one", TTL) is None
    failed = parts.store.get(job.id)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert (failed.error["code"], failed.error["param"]) == ("worker_lost", None)


def test_job_given_up_makes_way_for_the_next(parts: Parts) -> None:
    parts.queued()
    _lose_workers(parts, MAX_ATTEMPTS)
    following = parts.queued()
    assert parts.claim().job_id == following.id


def test_committed_step_starts_the_count_anew(parts: Parts) -> None:
    job = parts.queued()
    _lose_workers(parts, MAX_ATTEMPTS - 1)
    parts.journal(parts.claim()).commit_step(step(0))
    parts.clock.advance(TTL)
    _lose_workers(parts, MAX_ATTEMPTS)
    assert parts.store.get(job.id).status is JobStatus.RUNNING


def test_resume_starts_the_count_anew(parts: Parts) -> None:
    job = parts.queued()
    _lose_workers(parts, MAX_ATTEMPTS)
    parts.store.command(job.id, JobCommand.PAUSE)
    parts.store.command(job.id, JobCommand.RESUME)
    assert parts.claim().job_id == job.id


def test_concurrent_claimers_never_share_a_job(parts: Parts) -> None:
    jobs = {parts.queued().id for _ in range(12)}

    def take(owner: int) -> list[Lease]:
        taken = []
        while (lease := parts.leases.claim(f"worker-{owner}", TTL)) is not None:
            taken.append(lease)
        return taken

    with ThreadPoolExecutor(4) as pool:
        leases = [lease for taken in pool.map(take, range(4)) for lease in taken]
    assert sorted(lease.job_id for lease in leases) == sorted(jobs)
    assert {lease.epoch for lease in leases} == {1}
