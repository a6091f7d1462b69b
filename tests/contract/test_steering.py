"""Why a job stops by itself, what it goes on with, and how wrong its estimates were; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import InvalidRequest
from core.jobs import state
from core.jobs.sql_journal import SqlJournal
from core.jobs.types import JobCommand, JobStatus, Lease, StepRecord

from .parts import Parts, new_checkpoint, results, step

ERROR = {"code": "grader_failing", "message": "It fails.", "param": None}


def spent(parts: Parts, seconds: float) -> Lease:
    """A job that has trained for so long and is paused."""
    lease, journal = parts.running()
    journal.commit_step(step(1, seconds=seconds))
    parts.store.command(lease.job_id, JobCommand.PAUSE)
    return lease


def test_the_reason_of_a_pause_is_shown_until_the_job_goes_on(parts: Parts) -> None:
    lease, _ = parts.running()
    assert parts.store.command(lease.job_id, JobCommand.PAUSE, error=ERROR).error == ERROR
    assert parts.store.command(lease.job_id, JobCommand.RESUME).error is None


def test_a_used_budget_is_the_reason_of_its_pause(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.commit_step(step(1, pause="Used up."))
    job = parts.store.get(lease.job_id)
    assert (job.status, job.error) == (JobStatus.PAUSED, {"code": "budget_used", "message": "Used up.", "param": None})


def test_a_job_goes_on_with_a_higher_budget(parts: Parts) -> None:
    lease = spent(parts, 10.0)
    job = parts.store.command(lease.job_id, JobCommand.RESUME, budget_seconds=10.5)
    assert job.plan is not None
    assert (job.plan["budget_seconds"], job.request["touchstone"]) == (10.5, {"budget_seconds": 10.5})
    assert parts.messages(lease.job_id)[-2:] == [state.budget_set(10.5), state.RESUMED]


def test_a_budget_that_is_used_up_is_refused_and_changes_nothing(parts: Parts) -> None:
    lease = spent(parts, 10.0)
    before = parts.store.get(lease.job_id)
    with pytest.raises(InvalidRequest) as refused:
        parts.store.command(lease.job_id, JobCommand.RESUME, budget_seconds=10.0)
    assert refused.value.param == "touchstone.budget_seconds"
    assert parts.store.get(lease.job_id) == before


def test_a_runner_that_wishes_to_leave_lets_go(parts: Parts) -> None:
    lease, _ = parts.running()
    leaving = SqlJournal(parts.database, lease, leaving=lambda: True)
    assert leaving.commit_step(step(1)).value == "let_go"
    assert parts.store.get(lease.job_id).status is JobStatus.RUNNING


def test_the_end_tells_how_wrong_estimates_were(parts: Parts) -> None:
    """Steps of 10 seconds: at the half 50 are left and 25 were estimated, at three quarters 20 and 30."""
    lease, journal = parts.running()
    for number in range(11):
        left = {0: None, 5: 25.0, 8: 30.0}.get(number, 1000.0)
        journal.commit_step(_with_estimate(step(number), left))
        parts.clock.advance(10.0 if number < 10 else 0.0)
    checkpoint = new_checkpoint(lease.job_id, 10)
    journal.keep_checkpoint(checkpoint, keep_best=3)
    errors = journal.finish(model_name="ft:tiny", checkpoint_id=checkpoint.id, results=results(lease))
    assert set(errors) == {"10%", "25%", "50%", "75%"}
    assert (errors["50%"], errors["75%"]) == (-0.5, 0.5)
    (end,) = parts.events.list(lease.job_id, after=None, limit=1).data
    assert (end.message, end.data) == (state.SUCCEEDED, {"estimate_errors": errors})


def _with_estimate(record: StepRecord, seconds_left: float | None) -> StepRecord:
    metrics: dict[str, Any] = {**record.metrics, "touchstone": {"seconds_left": seconds_left}}
    return replace(record, metrics=metrics)
