"""`core.jobs.evals` on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest, NotFound
from core.jobs.evals import EvalStore, RunStatus
from core.jobs.types import Job, JobCommand
from core.settings import DEFAULT_PROJECT

from .parts import FOREIGN_PROJECT, Parts, batch, step


@pytest.fixture
def evals(parts: Parts) -> EvalStore:
    return EvalStore(parts.database, DEFAULT_PROJECT)


@pytest.fixture
def job(parts: Parts) -> Job:
    """Validated before its first step and after its second, where it still is; a training batch is no validation."""
    lease, journal = parts.running()
    for number, index in ((0, 1), (0, 0)):
        journal.keep_batch(batch(number, index, "valid"))
    journal.commit_step(step(0))
    journal.keep_batch(batch(1))
    journal.commit_step(step(1))
    parts.clock.advance(5.0)
    journal.keep_batch(batch(2, 0, "valid"))
    return parts.store.get(lease.job_id)


def steps(evals: EvalStore, job: Job, **changes: object) -> list[int]:
    asked = {"after": None, "limit": 10, "ascending": True, "status": None, **changes}
    return [run.step for run in evals.runs(job, **asked).data]


def test_a_job_gets_its_eval_with_its_first_claim(parts: Parts, evals: EvalStore, job: Job) -> None:
    assert job.eval_id is not None
    assert evals.get(job.eval_id) == job
    assert parts.queued().eval_id is None


def test_a_job_keeps_its_eval_for_life(parts: Parts, job: Job) -> None:
    parts.clock.advance(1000.0)
    parts.claim()
    assert parts.store.get(job.id).eval_id == job.eval_id


def test_a_job_without_validation_file_has_no_eval(parts: Parts, evals: EvalStore) -> None:
    job = parts.created(validation_file=None)
    parts.leases.validated(job, {})
    parts.claim()
    assert parts.store.get(job.id).eval_id is None
    assert evals.list(after=None, limit=10, ascending=True).data == ()


def test_evals_are_paged_by_the_start_of_their_jobs(parts: Parts, evals: EvalStore) -> None:
    ids = [parts.store.get(parts.running()[0].job_id).eval_id for _ in range(3)]
    for ascending, expected in ((True, ids), (False, ids[::-1])):
        seen: list[str | None] = []
        more = True
        while more:
            page = evals.list(after=seen[-1] if seen else None, limit=2, ascending=ascending)
            seen += [found.eval_id for found in page.data]
            more = page.has_more
        assert seen == expected


def test_runs_have_their_batches_in_order(evals: EvalStore, job: Job) -> None:
    first, second = evals.runs(job, after=None, limit=2, ascending=True, status=None).data
    assert first.batches == (batch(0, 0, "valid"), batch(0, 1, "valid"))
    assert second.batches == (batch(2, 0, "valid"),)
    assert second.created_at == first.created_at + 5.0
    assert (first.status, second.status) == (RunStatus.COMPLETED, RunStatus.IN_PROGRESS)


def test_runs_are_paged_in_both_orders(evals: EvalStore, job: Job) -> None:
    assert [steps(evals, job), steps(evals, job, ascending=False)] == [[0, 2], [2, 0]]
    assert [steps(evals, job, after=0), steps(evals, job, after=2, ascending=False)] == [[2], [0]]
    assert evals.runs(job, after=None, limit=1, ascending=True, status=None).has_more


def test_runs_are_filtered_by_status(evals: EvalStore, job: Job) -> None:
    assert {status: steps(evals, job, status=status) for status in RunStatus} == {
        RunStatus.COMPLETED: [0],
        RunStatus.IN_PROGRESS: [2],
        RunStatus.FAILED: [],
        RunStatus.CANCELED: [],
    }


def test_an_unfinished_run_ends_with_its_job(parts: Parts, evals: EvalStore, job: Job) -> None:
    cancelled = parts.store.command(job.id, JobCommand.CANCEL)
    assert steps(evals, cancelled, status=RunStatus.CANCELED) == [2]


def test_foreign_evals_do_not_exist(parts: Parts, job: Job) -> None:
    foreign = EvalStore(parts.database, FOREIGN_PROJECT)
    with pytest.raises(NotFound):
        foreign.get(str(job.eval_id))
    with pytest.raises(InvalidRequest):
        foreign.list(after=job.eval_id, limit=1, ascending=True)
    assert foreign.list(after=None, limit=10, ascending=True).data == ()
    assert steps(foreign, job) == []
