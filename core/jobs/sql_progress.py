"""How jobs come along, for those who watch: thinned curves, lists with the latest rewards, and where each history ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, String, cast, or_, select, tuple_
from sqlalchemy.orm import Session

from core.db import Database
from core.jobs.sql_lookups import JobKey
from core.jobs.sql_rows import find_job, job_of
from core.jobs.sql_store import unknown_cursor
from core.jobs.thinning import CurvePoint, thinned
from core.jobs.types import Job, JobStatus, Json, Page
from core.tables import JobRow, StepRow

CURVE_POINTS = 40
"""Of the small curve of a list."""
_TRAIN = StepRow.metrics["train_mean_reward"].as_float()
_VALID = StepRow.metrics["full_valid_mean_reward"].as_float()


@dataclass(frozen=True)
class Head:
    """The newest of a job: how far its history goes, and what else moves without an event."""

    last_seq: int
    status: str
    step: int
    estimated_finish: float | None


def find_heads(database: Database, keys: Sequence[JobKey]) -> Mapping[JobKey, Head]:
    """The heads of those keys that have a job: one query for all of them."""
    columns = (JobRow.project_id, JobRow.id, JobRow.next_seq, JobRow.status, JobRow.step, JobRow.estimated_finish)
    query = select(*columns).where(
        JobRow.id.in_([key.job_id for key in keys]), JobRow.project_id.in_({key.project_id for key in keys})
    )
    with database.read() as session:
        return {
            JobKey(project_id, job_id): Head(next_seq - 1, status, step, finish)
            for project_id, job_id, next_seq, status, step, finish in session.execute(query)
        }


def thinned_steps(database: Database, project_id: str, job_id: str, *, after_step: int, most: int) -> Sequence[Json]:
    """Metrics of the steps above `after_step`, thinned to at most `most` of them (`core.jobs.thinning`); raises `NotFound`.

    Two queries: the rewards of all steps, then the whole metrics of those that stay.
    """
    own = (StepRow.job_id == job_id, StepRow.project_id == project_id)
    with database.read() as session:
        find_job(session, project_id, job_id)
        points = select(StepRow.step, _TRAIN, _VALID).where(*own, StepRow.step > after_step).order_by(StepRow.step)
        steps = thinned([CurvePoint(*values) for values in session.execute(points)], most)
        query = select(StepRow.metrics).where(*own, StepRow.step.in_(steps)).order_by(StepRow.step)
        return tuple(session.scalars(query))


def list_jobs(
    database: Database,
    project_id: str,
    *,
    after: str | None,
    limit: int,
    statuses: Sequence[JobStatus] = (),
    search: str | None = None,
) -> Page[Job]:
    """The project's jobs, newest first, of any of the statuses, with `search` in id, model, suffix or metadata.

    Raises `InvalidRequest` for a cursor of no such job.
    """
    query = select(JobRow).where(JobRow.project_id == project_id)
    with database.read() as session:
        if after is not None:
            cursor = session.scalar(query.where(JobRow.id == after))
            if cursor is None:
                raise unknown_cursor(after)
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < tuple_(cursor.created_at, cursor.id))
        if statuses:
            query = query.where(JobRow.status.in_(statuses))
        if search:
            query = query.where(_mentions(search))
        rows = session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)).all()
        return Page(tuple(job_of(row) for row in rows[:limit]), has_more=len(rows) > limit)


def curves(database: Database, project_id: str, jobs: Sequence[Job]) -> Mapping[str, Sequence[CurvePoint]]:
    """A small curve of each job: some steps evenly spread, the validated ones and the last."""
    with database.read() as session:
        return {job.id: _curve(session, project_id, job) for job in jobs if job.started_at is not None}


def _curve(session: Session, project_id: str, job: Job) -> Sequence[CurvePoint]:
    interval = int((job.plan or {}).get("eval_interval", 1))
    wanted = {*_spread(job.step, 1), *_spread(job.step, interval), job.step}
    query = select(StepRow.step, _TRAIN, _VALID).where(
        StepRow.job_id == job.id, StepRow.project_id == project_id, StepRow.step.in_(sorted(wanted))
    )
    return [CurvePoint(*values) for values in session.execute(query.order_by(StepRow.step))]


def _spread(last: int, multiple: int) -> range:
    """At most `CURVE_POINTS` multiples of `multiple`, from 0 to `last`."""
    count = last // multiple + 1
    return range(0, last + 1, multiple * -(-count // CURVE_POINTS))


def _mentions(search: str) -> ColumnElement[bool]:
    places = (
        JobRow.id,
        JobRow.base_model,
        JobRow.fine_tuned_model,
        JobRow.request["model"].as_string(),
        JobRow.request["suffix"].as_string(),
        cast(JobRow.request["metadata"], String),
    )
    return or_(*(place.icontains(search, autoescape=True) for place in places))
