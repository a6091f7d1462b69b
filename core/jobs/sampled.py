"""Of which steps a job's rollouts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from core.db import Database
from core.jobs.sql_rows import find_job
from core.tables import BatchRow


@dataclass(frozen=True)
class SampledStep:
    """One split of a step, and how many of its rollouts are kept."""

    split: str
    step: int
    samples: int


def sampled_steps(database: Database, project_id: str, job_id: str) -> Sequence[SampledStep]:
    """In order of steps, training before validation; raises `NotFound` for a job that the project does not have."""
    query = (
        select(BatchRow.split, BatchRow.step, func.sum(BatchRow.samples))
        .where(BatchRow.job_id == job_id, BatchRow.project_id == project_id)
        .group_by(BatchRow.step, BatchRow.split)
        .order_by(BatchRow.step, BatchRow.split)
    )
    with database.read() as session:
        find_job(session, project_id, job_id)
        return tuple(SampledStep(split, step, int(samples)) for split, step, samples in session.execute(query))
