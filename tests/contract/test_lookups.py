"""Look-ups for many requests give each what the stores give it alone."""

from __future__ import annotations

from itertools import product

import pytest

from core.errors import InvalidRequest, NotFound
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_lookups import EventQuery, JobKey, find_events, find_jobs
from core.jobs.types import Event, Page
from core.settings import DEFAULT_PROJECT

from .parts import FOREIGN_PROJECT, Parts, step


@pytest.fixture
def jobs(parts: Parts) -> list[str]:
    """Two jobs, one with more events than the other."""
    lease, journal = parts.running()
    for number in range(1, 8):
        journal.commit_step(step(number))
    return [lease.job_id, parts.created().id]


def alone(parts: Parts, query: EventQuery) -> Page[Event] | type[Exception]:
    try:
        return SqlEventLog(parts.database, query.project_id).list(query.job_id, after=query.after, limit=query.limit)
    except (NotFound, InvalidRequest) as error:
        return type(error)


def test_jobs_are_found_as_they_stand(parts: Parts, jobs: list[str]) -> None:
    keys = [JobKey(DEFAULT_PROJECT, job_id) for job_id in jobs]
    assert find_jobs(parts.database, keys) == {key: parts.store.get(key.job_id) for key in keys}


def test_foreign_and_unknown_jobs_are_not_found(parts: Parts, jobs: list[str]) -> None:
    ours = JobKey(DEFAULT_PROJECT, jobs[0])
    keys = [ours, JobKey(FOREIGN_PROJECT, jobs[0]), JobKey(FOREIGN_PROJECT, jobs[1]), JobKey(DEFAULT_PROJECT, "ftjob-none")]
    assert list(find_jobs(parts.database, keys)) == [ours]


def test_pages_of_events_are_those_of_the_log(parts: Parts, jobs: list[str]) -> None:
    cursors = [None, "ftevent-none", *(event.id for event in parts.events.since(jobs[0], 0, 100)[::4])]
    projects = (DEFAULT_PROJECT, FOREIGN_PROJECT)
    queries = [
        EventQuery(project, job_id, after, limit)
        for project, job_id, after, limit in product(projects, (*jobs, "ftjob-none"), cursors, (1, 3, 100))
    ]
    found = find_events(parts.database, queries)
    assert set(found) == set(queries)
    for query in queries:
        outcome = found[query]
        assert (type(outcome) if isinstance(outcome, Exception) else outcome) == alone(parts, query)


def test_an_event_told_twice_is_the_same(parts: Parts, jobs: list[str]) -> None:
    query = EventQuery(DEFAULT_PROJECT, jobs[0], None, 20)
    assert find_events(parts.database, [query]) == find_events(parts.database, [query])
