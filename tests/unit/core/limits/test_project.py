"""What a project may have: jobs that wait, jobs that run, stored bytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.db import Database
from core.errors import QuotaExceeded
from core.files import FileStore
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import JobCommand, NewJob
from core.limits.base import NO_LIMITS
from core.projects import ProjectStore
from core.storage.local import LocalObjectStore


@pytest.fixture
def project(database: Database) -> str:
    return ProjectStore(database).create("limited").id


def jobs(database: Database, project: str, **limits: int) -> SqlJobStore:
    return SqlJobStore(database, project, dataclasses.replace(NO_LIMITS, **limits))


def create(store: SqlJobStore) -> str:
    body = {"model": "tiny", "training_file": "file-A"}
    return store.create(NewJob(body, "tiny", 7, "file-A", None)).id


def queue(database: Database, project: str, count: int) -> list[str]:
    """Jobs of the project, ready to be claimed."""
    store, leases = jobs(database, project), SqlLeaseStore(database)
    made = [create(store) for _ in range(count)]
    for job_id in made:
        leases.validated(store.get(job_id), {})
    return made


def claimed(leases: SqlLeaseStore, project: str) -> list[str]:
    """All that a supervisor gets of the project's jobs."""
    found = []
    while (lease := leases.claim("one", 60.0)) is not None:
        found.append(lease)
    return [lease.job_id for lease in found if lease.project_id == project]


def test_a_project_without_limits_has_none(database: Database, project: str) -> None:
    store = jobs(database, project)
    assert len({create(store) for _ in range(5)}) == 5


def test_one_waiting_job_too_many_is_a_429(database: Database, project: str) -> None:
    store = jobs(database, project, max_waiting_jobs=2)
    create(store)
    create(store)
    with pytest.raises(QuotaExceeded) as caught:
        create(store)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")


def test_a_job_that_waits_no_more_makes_room(database: Database, project: str) -> None:
    store = jobs(database, project, max_waiting_jobs=1)
    store.command(create(store), JobCommand.CANCEL)
    assert create(store)


def test_a_project_s_own_limit_goes_before_the_default(database: Database, project: str) -> None:
    ProjectStore(database).set_limits(project, {"max_waiting_jobs": 0})
    with pytest.raises(QuotaExceeded):
        create(jobs(database, project, max_waiting_jobs=100))


def test_no_more_jobs_are_claimed_than_may_run(database: Database, project: str) -> None:
    made = queue(database, project, 3)
    ProjectStore(database).set_limits(project, {"max_running_jobs": 2})
    found = claimed(SqlLeaseStore(database), project)
    assert len(found) == 2
    assert set(found) < set(made)


def test_a_full_project_holds_up_no_other(database: Database, project: str) -> None:
    queue(database, project, 1)
    ProjectStore(database).set_limits(project, {"max_running_jobs": 0})
    other = ProjectStore(database).create("other").id
    made = queue(database, other, 1)
    assert claimed(SqlLeaseStore(database), other) == made


def test_a_running_job_that_lost_its_worker_is_claimed_in_a_full_project(database: Database, project: str, clock: object) -> None:
    queue(database, project, 1)
    leases = SqlLeaseStore(database)
    first = claimed(leases, project)
    ProjectStore(database).set_limits(project, {"max_running_jobs": 1})
    clock.now += 61.0  # type: ignore[attr-defined]
    assert claimed(leases, project) == first


@pytest.fixture
def files(database: Database, project: str, tmp_path: Path) -> FileStore:
    limits = dataclasses.replace(NO_LIMITS, max_stored_bytes=10)
    return FileStore(database, LocalObjectStore(tmp_path / "objects"), project, max_bytes=1000, limits=limits)


def test_bytes_within_the_limit_are_stored(files: FileStore) -> None:
    assert files.create("a.jsonl", "fine-tune", [b"x" * 10]).bytes == 10


def test_bytes_over_the_limit_are_a_429_of_openai_s_code(files: FileStore) -> None:
    files.create("a.jsonl", "fine-tune", [b"x" * 6])
    with pytest.raises(QuotaExceeded) as caught:
        files.create("b.jsonl", "fine-tune", [b"x" * 5])
    assert (caught.value.status, caught.value.code, caught.value.type) == (429, "insufficient_quota", "insufficient_quota")


def test_refused_bytes_leave_nothing(files: FileStore, tmp_path: Path) -> None:
    with pytest.raises(QuotaExceeded):
        files.create("b.jsonl", "fine-tune", [b"x" * 11])
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


def test_a_deleted_file_makes_room(files: FileStore) -> None:
    files.delete(files.create("a.jsonl", "fine-tune", [b"x" * 10]).id)
    assert files.create("b.jsonl", "fine-tune", [b"x" * 10])
