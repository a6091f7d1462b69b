"""What is asked often reads an index, whichever database answers: no table is scanned, and no more is sorted than a few rows.

The tables are filled and analysed first: PostgreSQL scans small ones on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from core.db import Database
from core.jobs.evals import EvalStore
from core.jobs.metadata import digests
from core.jobs.models import find_served
from core.jobs.types import JobStatus
from core.settings import DEFAULT_PROJECT
from core.tables import CheckpointPermissionRow, CheckpointRow, EventRow, JobMetadataRow, JobRow, TunedModelRow

from .parts import FOREIGN_PROJECT, Parts

JOBS = 4000
EVENTS = 4000
BASE: dict[str, Any] = {
    "project_id": DEFAULT_PROJECT,
    "request": {},
    "status": JobStatus.QUEUED,
    "base_model": "tiny",
    "seed": 1,
    "step": 0,
    "trained_tokens": 0,
    "train_seconds": 0.0,
    "usage": {},
    "result_files": [],
    "lease_epoch": 0,
    "attempts": 0,
    "not_before": 0.0,
    "next_seq": 1,
}


@pytest.fixture
def many(parts: Parts) -> Parts:
    """Thousands of jobs that wait for a worker, half of them with the same metadata; one of them has thousands of events."""
    jobs = [
        {**BASE, "id": f"ftjob-{n:05}", "eval_id": f"eval_{n:05}", "created_at": float(n), "started_at": float(n)}
        for n in range(JOBS)
    ]
    pairs = [(job, pair) for n, job in enumerate(jobs) for pair in digests({"odd": str(n % 2), "all": "1"})]
    with parts.database.begin() as session:
        session.execute(insert(JobRow), jobs)
        session.execute(
            insert(JobMetadataRow),
            [
                {"project_id": DEFAULT_PROJECT, "pair": pair, "created_at": job["created_at"], "job_id": job["id"]}
                for job, pair in pairs
            ],
        )
        session.execute(insert(CheckpointRow), [checkpoint(job["id"]) for job in jobs])
        session.execute(insert(TunedModelRow), [tuned(job["id"]) for job in jobs])
        session.execute(insert(CheckpointPermissionRow), [permission(job["id"]) for job in jobs])
        session.execute(
            insert(EventRow),
            [
                {
                    "job_id": jobs[n % 2]["id"],
                    "seq": n,
                    "id": f"ftevent-{n:05}",
                    "project_id": DEFAULT_PROJECT,
                    "created_at": float(n),
                    "level": "info",
                    "type": "message",
                    "message": "",
                    "data": {},
                }
                for n in range(EVENTS)
            ],
        )
    with parts.database.begin() as session:
        session.execute(text("ANALYZE"))
    return parts


def checkpoint(job_id: str) -> dict[str, Any]:
    number = job_id.removeprefix("ftjob-")
    return {
        "id": f"ftckpt_{number}",
        "project_id": DEFAULT_PROJECT,
        "job_id": job_id,
        "step": 1,
        "epoch": 1,
        "created_at": 0.0,
        "model_name": f"ft:{number}:ckpt-step-1",
        "manifest_key": "key",
        "metrics": {},
    }


def tuned(job_id: str) -> dict[str, Any]:
    number = job_id.removeprefix("ftjob-")
    owner = {"project_id": DEFAULT_PROJECT, "job_id": job_id, "checkpoint_id": f"ftckpt_{number}", "created_at": 0.0}
    return {"name": f"ft:{number}", **owner}


def permission(job_id: str) -> dict[str, Any]:
    number = job_id.removeprefix("ftjob-")
    grant = {"checkpoint_id": f"ftckpt_{number}", "granted_to": FOREIGN_PROJECT, "created_at": 0.0}
    return {"id": f"cp_{number}", "project_id": DEFAULT_PROJECT, **grant}


SCANS_OR_SORTS = re.compile(
    r"Seq Scan|Bitmap|SCAN (?!CONSTANT ROW|waiting$|\d+-ROW|.*USING (?:COVERING )?INDEX)|TEMP B-TREE FOR ORDER BY$"
    r"|\bSort .*rows=\d{3,}",
    re.MULTILINE,
)

QUESTIONS: dict[str, Callable[[Parts], object]] = {
    "jobs": lambda parts: parts.store.list(after=None, limit=20, metadata=None),
    "jobs after": lambda parts: parts.store.list(after="ftjob-02000", limit=20, metadata=None),
    "jobs by metadata": lambda parts: parts.store.list(after="ftjob-02000", limit=20, metadata={"odd": "1"}),
    "jobs by two pairs": lambda parts: parts.store.list(after=None, limit=20, metadata={"all": "1", "odd": "1"}),
    "jobs without metadata": lambda parts: parts.store.list(after=None, limit=20, metadata=None, without_metadata=True),
    "events": lambda parts: parts.events.list("ftjob-00001", after=None, limit=20),
    "events after": lambda parts: parts.events.list("ftjob-00001", after="ftevent-02001", limit=20),
    "events since": lambda parts: parts.events.since("ftjob-00001", 2000, 20),
    "claim": lambda parts: parts.leases.claim("one", 30.0),
    "unvalidated": lambda parts: parts.leases.unvalidated(),
    "model": lambda parts: find_served(parts.database, FOREIGN_PROJECT, "ft:00001"),
    "checkpoint": lambda parts: find_served(parts.database, DEFAULT_PROJECT, "ft:00001:ckpt-step-1"),
    "evals": lambda parts: EvalStore(parts.database, DEFAULT_PROJECT).list(after="eval_02000", limit=20, ascending=False),
}


def test_every_question_reads_an_index(many: Parts) -> None:
    bad = []
    for name, ask in QUESTIONS.items():
        with recorded(many.database) as statements:
            ask(many)
        assert statements, name
        plans = [plan_of(many.database, statement, parameters) for statement, parameters in statements]
        bad += [(name, plan) for plan in plans if SCANS_OR_SORTS.search(plan)]
    assert bad == []


@contextmanager
def recorded(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The queries of the block on jobs and what they have made, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith(("SELECT", "WITH")) and re.search(r"FROM (?:job|checkpoints)", statement):
            statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def plan_of(database: Database, statement: str, parameters: Any) -> str:
    """The database's plan, a line a node."""
    prefix = "EXPLAIN" if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{prefix} {statement}", parameters).all()
    return "\n".join(str(row[-1]) for row in rows)
