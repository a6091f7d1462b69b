"""Claiming, listing and polling read indexes where 100,000 jobs have finished, on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs.sql_leases import find_due

from .parts import Parts
from .test_query_plans import SCANS_OR_SORTS, recorded

FINISHED, WAITING = 100_000, 200
JOBS = """
INSERT INTO jobs (id, project_id, created_at, status, request, base_model, seed, step, trained_tokens, train_seconds, usage,
                  result_files, started_at, finished_at, lease_epoch, attempts, not_before, next_seq)
SELECT 'ftjob-{status}' || n, CASE n % 2 WHEN 0 THEN 'proj_default' ELSE 'proj_foreign' END, n, '{status}', '{{}}', 'tiny', 1, 1,
       1, 1, '{{}}', '[]', n, n, 1, 0, 0, 1 FROM {numbers}
"""
NUMBERS = {
    "postgresql": "generate_series(1, {count}) AS numbers(n)",
    "sqlite": "(WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {count}) SELECT n FROM up)",
}


@pytest.fixture
def finished(parts: Parts) -> Parts:
    """Very many jobs that have finished, a few that wait and a few that run, of two projects."""
    numbers = NUMBERS[parts.database.engine.dialect.name]
    with parts.database.begin() as session:
        for status, count in (("succeeded", FINISHED), ("queued", WAITING), ("running", 8)):
            session.execute(text(JOBS.format(status=status, numbers=numbers.format(count=count))))
    with parts.database.begin() as session:
        session.execute(text("ANALYZE jobs"))
    return parts


QUESTIONS: dict[str, Callable[[Parts], object]] = {
    "claim": lambda parts: parts.leases.claim("one", 30.0),
    "claim of a model": lambda parts: parts.leases.claim("one", 30.0, models={"tiny"}),
    "claim where none is due": lambda parts: parts.leases.claim("one", 30.0, models={"other"}),
    "due": lambda parts: find_due(parts.database, 100),
    "unvalidated": lambda parts: parts.leases.unvalidated(),
    "jobs": lambda parts: parts.store.list(after=None, limit=20, metadata=None),
    "jobs after": lambda parts: parts.store.list(after="ftjob-succeeded50000", limit=20, metadata=None),
    "events": lambda parts: parts.events.since("ftjob-succeeded50000", 0, 20),
}
THOUSANDS = re.compile(r"actual rows=\d{4,}|Removed by Filter: \d{4,}|SCAN (?!CONSTANT ROW|waiting$|\d+-ROW)", re.MULTILINE)
"""Rows that were read (PostgreSQL tells), or an index that is read from its begin (SQLite)."""


def what_was_read(database: Database, statement: str, parameters: Any) -> str:
    """The plan, and where the database tells, the rows that it has read."""
    prefix = "EXPLAIN (ANALYZE, TIMING OFF)" if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with database.engine.connect() as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{prefix} {statement}", parameters))


def test_every_question_reads_a_part_of_an_index(finished: Parts) -> None:
    bad = []
    for name, ask in QUESTIONS.items():
        with recorded(finished.database) as statements:
            ask(finished)
        assert statements, name
        plans = [what_was_read(finished.database, statement, parameters) for statement, parameters in statements]
        bad += [(name, plan) for plan in plans if SCANS_OR_SORTS.search(plan) or THOUSANDS.search(plan)]
    assert bad == []
