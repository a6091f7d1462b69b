"""Jobs and pages of events for many requests in one query: what pollers ask for, all together.

Plain rows are read here, not mapped objects: for what is only shown, the mapping would cost more than the query.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import RftError
from core.jobs.sql_events import event_page
from core.jobs.sql_rows import job_of
from core.jobs.types import Event, Job, Page
from core.tables import EventRow, JobRow

KNOWN_EVENTS = 8192
_EVENT_COLUMNS = (EventRow.id, EventRow.seq, EventRow.created_at, EventRow.level, EventRow.type, EventRow.message)


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
    """The jobs of those keys that have one."""
    query = select(JobRow.__table__).where(
        JobRow.id.in_([key.job_id for key in keys]), JobRow.project_id.in_({key.project_id for key in keys})
    )
    with database.read() as session:
        found = {JobKey(row.project_id, row.id): row for row in session.execute(query)}
        return {key: job_of(found[key]) for key in keys if key in found}


def find_events(database: Database, queries: Sequence[EventQuery]) -> Mapping[EventQuery, Page[Event] | Exception]:
    """The page of each query, or the `RftError` that `SqlEventLog.list` raises for it."""
    newest = [query for query in queries if query.after is None]
    with database.read() as session:
        found: dict[EventQuery, Page[Event] | Exception] = dict(_newest(session, newest)) if newest else {}
        for query in queries:
            if query not in found:
                found[query] = _page(session, query)
        return found


def _newest(session: Session, queries: Sequence[EventQuery]) -> Mapping[EventQuery, Page[Event]]:
    """The first pages of those jobs that exist.

    The numbers of a job's events have no gap, and its row knows the next one: so the newest few are a range of each job's own,
    which one query can ask for, and nothing has to be sorted.
    """
    most = max(query.limit for query in queries)
    wanted = (
        select(EventRow.project_id, EventRow.job_id, *_EVENT_COLUMNS, cast(EventRow.data, Text))
        .join(JobRow, JobRow.id == EventRow.job_id)
        .where(
            JobRow.id.in_([query.job_id for query in queries]),
            JobRow.project_id.in_({query.project_id for query in queries}),
            EventRow.project_id == JobRow.project_id,
            EventRow.seq >= JobRow.next_seq - (most + 1),
        )
        .order_by(EventRow.job_id, EventRow.seq.desc())
    )
    events: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for project_id, job_id, *values in session.execute(wanted):
        events[project_id, job_id].append(_event(*values))
    pages = {}
    for query in queries:
        found = events.get((query.project_id, query.job_id))
        if found:
            pages[query] = Page(tuple(found[: query.limit]), has_more=len(found) > query.limit)
    return pages


@lru_cache(maxsize=KNOWN_EVENTS)
def _event(id: str, seq: int, created_at: float, level: Any, type: Any, message: str, data: str | None) -> Event:  # noqa: A002
    """An event of these values. Pollers ask for the same ones over and over, and to read JSON costs more than to find it read."""
    return Event(id, seq, created_at, level, type, message, None if data is None else json.loads(data))


def _page(session: Session, query: EventQuery) -> Page[Event] | Exception:
    try:
        return event_page(session, query.project_id, query.job_id, after=query.after, limit=query.limit)
    except RftError as error:
        return error
