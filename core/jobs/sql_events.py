"""`EventLog` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.db import Database
from core.jobs.sql_rows import event_of, find_job
from core.jobs.sql_store import unknown_cursor
from core.jobs.types import Event, Page
from core.tables import EventRow


class SqlEventLog:
    """The history of one project's jobs. Implements `core.jobs.base.EventLog`."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._database = database
        self._project_id = project_id

    def list(self, job_id: str, *, after: str | None, limit: int) -> Page[Event]:
        """Newest first, older than the event `after`; raises `NotFound`, and `InvalidRequest` for a cursor not of this job."""
        with self._database.read() as session:
            return event_page(session, self._project_id, job_id, after=after, limit=limit)

    def since(self, job_id: str, seq: int, limit: int) -> Sequence[Event]:
        """Oldest first, those with a sequence number above `seq`; raises `NotFound`."""
        with self._database.read() as session:
            find_job(session, self._project_id, job_id)
            query = _of_job(self._project_id, job_id).where(EventRow.seq > seq).order_by(EventRow.seq).limit(limit)
            return tuple(event_of(row) for row in session.scalars(query))


def event_page(session: Session, project_id: str, job_id: str, *, after: str | None, limit: int) -> Page[Event]:
    """A page as `SqlEventLog.list` gives it, and raising as it does. A job with events on the page costs one query."""
    query = _of_job(project_id, job_id)
    if after is not None:
        cursor = session.scalar(query.where(EventRow.id == after))
        if cursor is None:
            find_job(session, project_id, job_id)
            raise unknown_cursor(after)
        query = query.where(EventRow.seq < cursor.seq)
    rows = session.scalars(query.order_by(EventRow.seq.desc()).limit(limit + 1)).all()
    if not rows:
        find_job(session, project_id, job_id)
    return Page(tuple(event_of(row) for row in rows[:limit]), has_more=len(rows) > limit)


def _of_job(project_id: str, job_id: str) -> Select[EventRow]:
    return select(EventRow).where(EventRow.job_id == job_id, EventRow.project_id == project_id)
