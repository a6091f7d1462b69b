"""What is deleted some time after a job's end, on both databases; and that nobody misses it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.db import Database
from core.files import FileStore
from core.jobs.permissions import PermissionStore
from core.jobs.types import JobCommand, Lease, StateRecord
from core.settings import DEFAULT_PROJECT, Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore
from core.tables import BatchRow, CheckpointRow, FileRow, ProjectRow, StateRow
from worker.light.base import Swept
from worker.light.build import sweeps
from worker.light.orphans import OrphanObjects

from .parts import FOREIGN_PROJECT, Clock, Parts, batch, new_checkpoint, new_job

DAY = 86400.0
EVERYTHING = {"states_kept_days": 1, "rollouts_kept_days": 2, "checkpoints_kept_days": 3, "results_kept_days": 4}


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


class Left:
    """A job of three steps, and all that its runner keeps of it."""

    def __init__(self, parts: Parts, objects: LocalObjectStore, scratch: Path) -> None:
        self.parts, self.objects = parts, objects
        self.lease, self.journal = parts.running()
        self.source = scratch / self.lease.job_id
        self.source.mkdir()
        (self.source / "weights").write_bytes(b"12345")
        self.state_key = self._manifest("states", 1)
        self.journal.keep_state(StateRecord(1, self.state_key, 5))
        for step, reward in ((1, 0.5), (2, 0.1), (3, 0.2)):
            key = ObjectKey.of(
                DEFAULT_PROJECT, "jobs", self.lease.job_id, epoch(self.lease), "rollouts", f"train-{step}-0.parquet"
            )
            stored = objects.put(key, [b"123"])
            self.journal.keep_batch(replace(batch(step, key=str(key)), bytes=stored.bytes))
            checkpoint = new_checkpoint(self.lease.job_id, step, reward, self._manifest("checkpoints", step))
            self.journal.keep_checkpoint(replace(checkpoint, bytes=5), keep_best=3)

    def _manifest(self, kind: str, step: int) -> str:
        prefix = ObjectKey.of(DEFAULT_PROJECT, "jobs", self.lease.job_id, epoch(self.lease), kind, f"step-{step}")
        return str(manifest.write(self.objects, prefix, self.source, {}))

    def finish(self) -> None:
        """The first checkpoint becomes the tuned model."""
        files = FileStore(self.parts.database, self.objects, DEFAULT_PROJECT, 1000)
        results = files.receive([b"step"])
        name, first = f"ft:tiny:{self.lease.job_id}", f"ftckpt_{self.lease.job_id}-1"
        self.journal.finish(model_name=name, checkpoint_id=first, results=results)


@pytest.fixture
def left(parts: Parts, objects: LocalObjectStore, tmp_path: Path) -> Left:
    return Left(parts, objects, tmp_path)


def epoch(lease: Lease) -> str:
    return f"e{lease.epoch}"


def sweep(parts: Parts, objects: LocalObjectStore, *, dry_run: bool = False, **settings: float) -> dict[str, Swept]:
    chores = sweeps(Settings(**settings), parts.database, objects)
    return {chore.name: swept for chore in chores if (swept := chore.sweep(dry_run=dry_run)).count}


def rows(database: Database) -> tuple[int, ...]:
    """Batches, states, checkpoints and files."""
    with database.read() as session:
        tables = (BatchRow, StateRow, CheckpointRow, FileRow)
        return tuple(session.scalars(select(func.count()).select_from(table)).one() for table in tables)


def kinds(objects: LocalObjectStore) -> list[str]:
    """Of the objects that there are, the kinds."""
    return sorted({key.segments[4] for key in objects.list(ObjectKey.of(DEFAULT_PROJECT, "jobs"))})


def test_by_default_only_training_states_of_ended_jobs_go(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    parts.clock.advance(1000 * DAY)
    assert sweep(parts, objects) == {"training states of ended jobs": Swept(1, 5)}
    assert rows(parts.database) == (3, 0, 3, 1)
    assert kinds(objects) == ["checkpoints", "rollouts"]


def test_nothing_goes_before_its_time(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    parts.clock.advance(DAY - 1)
    assert sweep(parts, objects, **EVERYTHING) == {}
    parts.clock.advance(1)
    assert list(sweep(parts, objects, **EVERYTHING)) == ["training states of ended jobs"]


def test_everything_that_nobody_needs_goes_where_that_is_asked_for(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    parts.clock.advance(5 * DAY)
    assert sweep(parts, objects, **EVERYTHING) == {
        "training states of ended jobs": Swept(1, 5),
        "old rollouts": Swept(3, 9),
        "old checkpoints": Swept(2, 10),
        "old results": Swept(1, 4),
    }
    assert rows(parts.database) == (0, 0, 1, 0)
    (kept,) = parts.store.checkpoints(left.lease.job_id, after=None, limit=10).data
    assert manifest.read(objects, ObjectKey.parse(kept.manifest_key)).parts
    assert kinds(objects) == ["checkpoints"]


@pytest.mark.parametrize("command", [None, JobCommand.PAUSE])
def test_a_job_that_may_go_on_keeps_everything(
    left: Left, parts: Parts, objects: LocalObjectStore, command: JobCommand | None
) -> None:
    if command is not None:
        parts.store.command(left.lease.job_id, command)
    parts.clock.advance(1000 * DAY)
    assert sweep(parts, objects, **EVERYTHING) == {}
    assert rows(parts.database) == (3, 1, 3, 0)


def test_a_checkpoint_that_a_waiting_job_starts_from_stays(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    start = f"ftckpt_{left.lease.job_id}-2"
    parts.store.create(replace(new_job(), initial_checkpoint_id=start))
    parts.clock.advance(5 * DAY)
    sweep(parts, objects, **EVERYTHING)
    assert parts.store.checkpoint(start) is not None


def test_a_shared_checkpoint_stays(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    shared = new_checkpoint(left.lease.job_id, 3)
    PermissionStore(parts.database, DEFAULT_PROJECT).grant(shared.model_name, [FOREIGN_PROJECT])
    parts.clock.advance(5 * DAY)
    sweep(parts, objects, **EVERYTHING)
    assert parts.store.checkpoint(shared.id) is not None


def test_a_dry_run_tells_and_changes_nothing(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    left.finish()
    FileStore(parts.database, objects, DEFAULT_PROJECT, 1000).create("a", "evals", [b"12"], expires_after=3600)
    parts.clock.advance(5 * DAY)
    before = (rows(parts.database), kinds(objects))
    told = sweep(parts, objects, dry_run=True, **EVERYTHING)
    assert (rows(parts.database), kinds(objects)) == before
    assert told == sweep(parts, objects, **EVERYTHING)
    assert told["expired files"] == Swept(1, 2)


def test_sweepers_at_once_delete_each_thing_once(
    parts: Parts, objects: LocalObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.light.retention.AT_ONCE", 2)
    for _ in range(4):
        Left(parts, objects, tmp_path).finish()
    parts.clock.advance(5 * DAY)
    with ThreadPoolExecutor(3) as pool:
        swept = [future.result() for future in [pool.submit(sweep, parts, objects, **EVERYTHING) for _ in range(3)]]
    swept.append(sweep(parts, objects, **EVERYTHING))
    totals = {name: sum(one[name].count for one in swept if name in one) for name in {n for one in swept for n in one}}
    assert totals == {"training states of ended jobs": 4, "old rollouts": 12, "old checkpoints": 8, "old results": 4}


class Orphans:
    """The sweep of orphans, at a time when all that was written is old."""

    def __init__(self, parts: Parts, objects: LocalObjectStore) -> None:
        self.chore = OrphanObjects(parts.database, objects, clock=lambda: time.time() + 2 * DAY)

    def count(self, *, dry_run: bool = False) -> int:
        return self.chore.sweep(dry_run=dry_run).count


def unnamed(objects: LocalObjectStore, job_id: str, number: int) -> ObjectKey:
    """An object of a runner that has not come to its row, or never will."""
    key = ObjectKey.of(DEFAULT_PROJECT, "jobs", job_id, f"e{number}", "rollouts", "train-9-0.parquet")
    objects.put(key, [b"x"])
    return key


def test_what_a_runner_writes_stays_while_it_may_write_rows(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    """Whatever the clocks say: a checkpoint may take hours to go up, and clocks jump."""
    unnamed(objects, left.lease.job_id, left.lease.epoch)
    assert Orphans(parts, objects).count() == 0


def test_what_a_runner_left_goes_when_another_has_its_job(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    unnamed(objects, left.lease.job_id, left.lease.epoch)
    parts.clock.advance(1000)
    assert parts.claim("two").epoch == left.lease.epoch + 1
    assert Orphans(parts, objects).count() == 1


def test_what_a_runner_left_goes_when_its_job_has_ended(left: Left, parts: Parts, objects: LocalObjectStore) -> None:
    key = unnamed(objects, left.lease.job_id, left.lease.epoch)
    parts.store.command(left.lease.job_id, JobCommand.CANCEL)
    assert Orphans(parts, objects).count(dry_run=True) == 1
    assert key in set(objects.list(ObjectKey.of(DEFAULT_PROJECT)))
    assert Orphans(parts, objects).count() == 1
    assert key not in set(objects.list(ObjectKey.of(DEFAULT_PROJECT)))
    assert rows(parts.database) == (3, 1, 3, 0)
    assert Orphans(parts, objects).count() == 0


def test_an_empty_database_deletes_nothing_of_a_full_store(parts: Parts, objects: LocalObjectStore, clock: Clock) -> None:
    """A service started on the wrong database: its project is younger than the objects."""
    files = FileStore(parts.database, objects, DEFAULT_PROJECT, 1000)
    files.receive([b"of another database"])
    with parts.database.begin() as session:
        session.get_one(ProjectRow, DEFAULT_PROJECT).created_at = time.time() + DAY
    assert Orphans(parts, objects).count() == 0
    assert len(list(objects.list(ObjectKey.of(DEFAULT_PROJECT)))) == 1
