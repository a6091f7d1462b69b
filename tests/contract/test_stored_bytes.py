"""What a project may store: files, rollouts, training states and checkpoints together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import QuotaExceeded
from core.files import FileStore
from core.jobs.sql_journal import SqlJournal
from core.jobs.types import Lease, StateRecord
from core.limits.base import NO_LIMITS
from core.limits.stored import stored_bytes
from core.settings import DEFAULT_PROJECT
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore
from worker.light.sizes import FillSizes

from .parts import FOREIGN_PROJECT, Parts, batch, new_checkpoint

LIMITS = replace(NO_LIMITS, max_stored_bytes=100)


def limited(parts: Parts) -> tuple[Lease, SqlJournal]:
    """A running job whose project may store 100 bytes."""
    lease, _ = parts.running()
    return lease, SqlJournal(parts.database, lease, limits=LIMITS)


def stored(parts: Parts) -> dict[str, int]:
    with parts.database.read() as session:
        return {kind: count for kind, count in stored_bytes(session, DEFAULT_PROJECT).items() if count}


def test_all_that_a_job_keeps_counts(parts: Parts) -> None:
    lease, journal = limited(parts)
    journal.keep_batch(replace(batch(1), bytes=10))
    journal.keep_state(StateRecord(1, "state-1", 20))
    journal.keep_checkpoint(replace(new_checkpoint(lease.job_id, 1), bytes=30), keep_best=3)
    assert stored(parts) == {"rollouts": 10, "training states": 20, "checkpoints": 30}


def test_one_byte_too_many_is_refused_and_not_recorded(parts: Parts) -> None:
    lease, journal = limited(parts)
    journal.keep_batch(replace(batch(1), bytes=100))
    for keep in (
        lambda: journal.keep_batch(replace(batch(2), bytes=1)),
        lambda: journal.keep_state(StateRecord(1, "state-1", 1)),
        lambda: journal.keep_checkpoint(replace(new_checkpoint(lease.job_id, 1), bytes=1), keep_best=3),
    ):
        with pytest.raises(QuotaExceeded, match="may store 100 bytes and would have 101; counted are rollouts 10"):
            keep()
    assert stored(parts) == {"rollouts": 100}
    assert parts.history(lease).states() == parts.history(lease).checkpoints() == ()


def test_what_is_replaced_makes_room(parts: Parts) -> None:
    lease, journal = limited(parts)
    for step in range(1, 6):
        journal.keep_state(StateRecord(step, f"state-{step}", 30))
        journal.keep_checkpoint(replace(new_checkpoint(lease.job_id, step, step / 10), bytes=30), keep_best=1)
    assert stored(parts) == {"training states": 60, "checkpoints": 30}


def test_a_file_finds_the_room_that_jobs_leave(parts: Parts, tmp_path: Path) -> None:
    _, journal = limited(parts)
    journal.keep_batch(replace(batch(1), bytes=98))
    files = FileStore(parts.database, LocalObjectStore(tmp_path), DEFAULT_PROJECT, 1000, LIMITS)
    files.create("a", "evals", [b"12"])
    with pytest.raises(QuotaExceeded):
        files.create("b", "evals", [b"1"])


def test_other_projects_have_their_own_room(parts: Parts, tmp_path: Path) -> None:
    _, journal = limited(parts)
    journal.keep_batch(replace(batch(1), bytes=100))
    files = FileStore(parts.database, LocalObjectStore(tmp_path), FOREIGN_PROJECT, 1000, LIMITS)
    assert files.create("a", "evals", [b"1" * 100]).bytes == 100


def test_what_older_workers_kept_counts_once_its_size_is_looked_up(parts: Parts, tmp_path: Path) -> None:
    objects = LocalObjectStore(tmp_path / "objects")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "weights").write_bytes(b"12345")
    lease, journal = limited(parts)
    state, checkpoint = (
        manifest.write(objects, ObjectKey.of(DEFAULT_PROJECT, kind), tmp_path / "source", {}) for kind in ("s", "c")
    )
    journal.keep_batch(batch(1, key=str(objects.put(ObjectKey.of(DEFAULT_PROJECT, "b"), [b"12"]).key)))
    journal.keep_batch(batch(2, key="gone"))
    journal.keep_state(StateRecord(1, str(state)))
    journal.keep_checkpoint(new_checkpoint(lease.job_id, 1, key=str(checkpoint)), keep_best=3)
    before = stored(parts)
    FillSizes(parts.database, objects).run()
    assert (before, stored(parts)) == ({}, {"rollouts": 2, "training states": 5, "checkpoints": 5})
