"""`EventLog` on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import InvalidRequest, NotFound
from core.jobs.base import EventLog
from core.jobs.sql_events import SqlEventLog

from .parts import FOREIGN_PROJECT, Parts


def test_events_are_listed_newest_first_in_pages(parts: Parts) -> None:
    log: EventLog = parts.events
    lease, journal = parts.running()
    journal.event("six")
    seen = log.list(lease.job_id, after=None, limit=2)
    rest = log.list(lease.job_id, after=seen.data[-1].id, limit=3)
    assert [event.seq for event in (*seen.data, *rest.data)] == [5, 4, 3, 2, 1]
    assert (seen.has_more, rest.has_more) == (True, False)


def test_since_reads_oldest_first(parts: Parts) -> None:
    job = parts.queued()
    assert [event.seq for event in parts.events.since(job.id, 1, 10)] == [2, 3]
    assert [event.seq for event in parts.events.since(job.id, 0, 1)] == [1]


def test_event_carries_what_was_told(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.event("careful", level="warn", data={"left": 3})
    event = parts.events.list(lease.job_id, after=None, limit=1).data[0]
    assert (event.message, event.level, event.type, event.data) == ("careful", "warn", "message", {"left": 3})
    assert (event.created_at, event.id[:8]) == (parts.clock.seconds, "ftevent-")


def test_message_may_quote_any_text(parts: Parts) -> None:
    lease, journal = parts.running()
    journal.event("grader wrote \x00 and \ud800")
    assert parts.messages(lease.job_id)[-1] == "grader wrote \N{REPLACEMENT CHARACTER} and ?"


@pytest.mark.parametrize("after", ["unknown", "other job"])
def test_cursor_must_be_of_the_job(parts: Parts, after: str) -> None:
    other = parts.events.since(parts.created().id, 0, 1)[0].id
    with pytest.raises(InvalidRequest) as caught:
        parts.events.list(parts.created().id, after=other if after == "other job" else "ftevent-none", limit=1)
    assert (caught.value.status, caught.value.param) == (400, "after")


def test_events_of_a_foreign_job_are_unknown(parts: Parts) -> None:
    job = parts.created()
    foreign = SqlEventLog(parts.database, FOREIGN_PROJECT)
    with pytest.raises(NotFound):
        foreign.list(job.id, after=None, limit=1)
    with pytest.raises(NotFound):
        foreign.since(job.id, 0, 1)


def test_sequence_has_no_gap_under_concurrent_writers(parts: Parts) -> None:
    lease, journal = parts.running()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(journal.event, [f"message {number}" for number in range(40)]))
    events = parts.events.since(lease.job_id, 0, 100)
    assert [event.seq for event in events] == list(range(1, 45))
    assert len({event.message for event in events[4:]}) == 40
