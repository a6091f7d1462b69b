"""Which sampling batches of a job are kept, for those who read many steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import func, select

from core.db import Database
from core.jobs.sql_rows import batch_of, find_job
from core.jobs.types import BatchRecord
from core.tables import BatchRow

Split = Literal["train", "valid"]
Steps = int | Literal["last", "all"]


def kept_batches(database: Database, project_id: str, job_id: str, *, split: Split, steps: Steps) -> Sequence[BatchRecord]:
    """The kept batches of one split in the order they were sampled, of one step, the last one that has any, or all of them.

    Raises `NotFound` for a job that the project does not have.
    """
    own = (BatchRow.job_id == job_id, BatchRow.project_id == project_id, BatchRow.split == split)
    query = select(BatchRow).where(*own)
    if steps == "last":
        query = query.where(BatchRow.step == select(func.max(BatchRow.step)).where(*own).scalar_subquery())
    elif steps != "all":
        query = query.where(BatchRow.step == steps)
    with database.read() as session:
        find_job(session, project_id, job_id)
        return tuple(batch_of(row) for row in session.scalars(query.order_by(BatchRow.step, BatchRow.index)))
