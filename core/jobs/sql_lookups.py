"""Jobs and pages of events for many requests in one session: what pollers ask for, all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import RftError
from core.jobs.sql_events import event_page
from core.jobs.sql_rows import job_of
from core.jobs.types import Event, Job, Page
from core.tables import JobRow


@dataclass(frozen=True)
class JobKey:
    """Which job, and who asks for it."""

    project_id: str
    job_id: str


@dataclass(frozen=True)
class EventQuery:
    """Which page of which job's history, and who asks for it."""

    project_id: str
    job_id: str
    after: str | None
    limit: int


def find_jobs(database: Database, keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
    """The jobs of those keys that have one, read in one query."""
    query = select(JobRow).where(
        JobRow.id.in_([key.job_id for key in keys]), JobRow.project_id.in_({key.project_id for key in keys})
    )
    with database.read() as session:
        return {JobKey(row.project_id, row.id): job_of(row) for row in session.scalars(query)}


def find_events(database: Database, queries: Sequence[EventQuery]) -> Mapping[EventQuery, Page[Event] | Exception]:
    """The page of each query, or the `RftError` that `SqlEventLog.list` raises for it."""
    with database.read() as session:
        return {query: _page(session, query) for query in queries}


def _page(session: Session, query: EventQuery) -> Page[Event] | Exception:
    try:
        return event_page(session, query.project_id, query.job_id, after=query.after, limit=query.limit)
    except RftError as error:
        return error
