"""How wrong a job's estimates of its end were, once the end is known."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.tables import JobRow, StepRow

SHARES = {"10%": 0.1, "25%": 0.25, "50%": 0.5, "75%": 0.75}
"""After which share of a job's steps an estimate is looked at."""
_SECONDS_LEFT = StepRow.metrics["touchstone"]["seconds_left"].as_float()


def estimate_errors(session: Session, job: JobRow, finished_at: float) -> Mapping[str, float]:
    """(estimated - true) / true of the time that was left, by the share of steps after which the estimate was made.

    The true time is the clock's, pauses and lost workers included: what a client saw in `estimated_finish` knew nothing of them.
    Shares of jobs with few steps fall on the same step, or on none that had an estimate.
    """
    wanted = {share: round(part * job.step) for share, part in SHARES.items()}
    query = select(StepRow.step, StepRow.created_at, _SECONDS_LEFT).where(
        StepRow.job_id == job.id,
        StepRow.project_id == job.project_id,
        StepRow.step.in_(set(wanted.values())),
        StepRow.step > 0,
        StepRow.step < job.step,
    )
    found = {step: (made_at, left) for step, made_at, left in session.execute(query) if left is not None}
    return {
        share: round((found[step][1] - true) / true, 4)
        for share, step in wanted.items()
        if step in found and (true := finished_at - found[step][0]) > 0
    }
