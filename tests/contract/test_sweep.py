"""What clears away, on both databases: what is due goes, and nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.db import Database
from core.files import FileStore
from core.jobs.types import StateRecord
from core.settings import DEFAULT_PROJECT, Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore
from core.tables import FileRow, UploadPartRow, UploadRow
from core.upload_types import NewUpload
from core.uploads import LIFETIME_SECONDS, UploadStore
from worker.light.build import sweeps
from worker.light.orphans import ORPHAN_SECONDS, OrphanObjects
from worker.light.sweep import UPLOAD_KEPT_SECONDS, ExpiredUploads, expired_files

from .parts import Clock, Parts, batch, new_checkpoint


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def files(database: Database, objects: LocalObjectStore) -> FileStore:
    return FileStore(database, objects, DEFAULT_PROJECT, 1000)


@pytest.fixture
def uploads(database: Database, objects: LocalObjectStore) -> UploadStore:
    return UploadStore(database, objects, DEFAULT_PROJECT, 1000)


@pytest.fixture
def orphans(database: Database, objects: LocalObjectStore) -> OrphanObjects:
    """The sweep of a time when all that was written today is old."""
    return OrphanObjects(database, objects, clock=lambda: time.time() + ORPHAN_SECONDS + 60)


def keys(objects: LocalObjectStore) -> set[str]:
    return {str(path.relative_to(objects.root)) for path in objects.root.rglob("*") if path.is_file()}


def count(database: Database, table: type) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def send(uploads: UploadStore, *parts: bytes) -> tuple[str, list[str]]:
    upload = uploads.create(NewUpload("a.bin", "user_data", sum(map(len, parts)), "x/y"))
    return upload.id, [uploads.add_part(upload.id, uploads.receive(upload.id, [part])).id for part in parts]


def test_expired_files_go_and_others_stay(database: Database, objects: LocalObjectStore, files: FileStore, clock: Clock) -> None:
    stays = [files.create("a", "evals", [b"x"]), files.create("b", "evals", [b"x"], expires_after=7200)]
    files.create("c", "evals", [b"x"], expires_after=3600)
    clock.advance(3600)
    expired_files(database, objects).run()
    assert keys(objects) == {file.object_key for file in stays}
    assert count(database, FileRow) == 2


def test_expired_uploads_lose_their_parts(
    database: Database, objects: LocalObjectStore, uploads: UploadStore, clock: Clock
) -> None:
    send(uploads, b"aa", b"bb")
    clock.advance(LIFETIME_SECONDS / 2)
    younger, _ = send(uploads, b"cc")
    clock.advance(LIFETIME_SECONDS / 2)
    ExpiredUploads(database, objects).run()
    assert len(keys(objects)) == count(database, UploadPartRow) == 1
    assert uploads.cancel(younger).status == "cancelled"


def test_uploads_are_forgotten_in_the_end(
    database: Database, objects: LocalObjectStore, files: FileStore, uploads: UploadStore, clock: Clock
) -> None:
    uploads.complete(*send(uploads, b"aa"))
    uploads.cancel(send(uploads, b"bb")[0])
    send(uploads, b"cc")
    chore = ExpiredUploads(database, objects)
    clock.advance(LIFETIME_SECONDS)
    chore.run()
    before = count(database, UploadRow)
    clock.advance(UPLOAD_KEPT_SECONDS)
    chore.run()
    assert (before, count(database, UploadRow)) == (3, 0)
    assert len(files.list().data) == 1


def test_received_bytes_without_a_row_go(
    objects: LocalObjectStore, files: FileStore, uploads: UploadStore, orphans: OrphanObjects
) -> None:
    file = files.create("a", "evals", [b"x"])
    files.receive([b"abandoned"])
    upload_id, parts = send(uploads, b"aa")
    uploads.receive(upload_id, [b"abandoned"])
    orphans.run()
    assert keys(objects) == {file.object_key, f"{DEFAULT_PROJECT}/uploads/{parts[0]}"}


def test_what_was_written_lately_stays(database: Database, objects: LocalObjectStore, files: FileStore) -> None:
    stored = files.receive([b"its row comes in a moment"])
    OrphanObjects(database, objects).run()
    assert keys(objects) == {str(stored.key)}


def test_of_a_job_what_its_rows_name_stays(
    parts: Parts, objects: LocalObjectStore, orphans: OrphanObjects, tmp_path: Path
) -> None:
    lease, journal = parts.running()
    epoch = ObjectKey.of(DEFAULT_PROJECT, "jobs", lease.job_id, f"e{lease.epoch}")
    source = tmp_path / "source"
    (source / "deeper").mkdir(parents=True)
    (source / "weights").write_bytes(b"x")
    (source / "deeper" / "more").write_bytes(b"y")
    rollouts = epoch / "rollouts" / "train-1-0.parquet"
    objects.put(rollouts, [b"x"])
    journal.keep_batch(batch(1, key=str(rollouts)))
    state, checkpoint = (manifest.write(objects, epoch / kind / "step-1", source, {}) for kind in ("states", "checkpoints"))
    journal.keep_state(StateRecord(1, str(state)))
    journal.keep_checkpoint(new_checkpoint(lease.job_id, 1, key=str(checkpoint)), keep_best=3)
    named = keys(objects)
    lost = ObjectKey.of(DEFAULT_PROJECT, "jobs", lease.job_id, "e0")
    for kind in ("states", "checkpoints"):
        manifest.write(objects, lost / kind / "step-1", source, {})
    objects.put(lost / "rollouts" / "train-1-0.parquet", [b"x"])
    orphans.run()
    assert keys(objects) == named


def test_kinds_that_are_not_known_stay(parts: Parts, objects: LocalObjectStore, orphans: OrphanObjects) -> None:
    job_id = parts.created().id
    others = [
        ObjectKey.of("health", "probe"),
        ObjectKey.of(DEFAULT_PROJECT, "notes", "a"),
        ObjectKey.of(DEFAULT_PROJECT, "jobs", job_id, "notes"),
        ObjectKey.of(DEFAULT_PROJECT, "jobs", job_id, "e1", "notes", "a"),
    ]
    for key in others:
        objects.put(key, [b"x"])
    orphans.run()
    assert keys(objects) == {str(key) for key in others}


def test_a_job_s_replaced_checkpoint_goes(parts: Parts, objects: LocalObjectStore, orphans: OrphanObjects) -> None:
    job = parts.finished()
    objects.put(ObjectKey.of(DEFAULT_PROJECT, "jobs", job.id, "e1", "checkpoints", "step-7", "manifest.json"), [b"{}"])
    orphans.run()
    assert keys(objects) == set()


def test_many_are_swept_in_one_pass(database: Database, objects: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.light.orphans._AT_ONCE", 3)
    for number in range(10):
        objects.put(ObjectKey.of(DEFAULT_PROJECT, "files", f"file-{number}"), [b"x"])
    OrphanObjects(database, objects, min_age=-60).run()
    assert keys(objects) == set()


def test_two_sweepers_at_once_are_harmless(
    database: Database, objects: LocalObjectStore, files: FileStore, uploads: UploadStore, clock: Clock
) -> None:
    stays = files.create("stays", "evals", [b"x"])
    for number in range(30):
        files.create(str(number), "evals", [b"x"], expires_after=3600)
        files.receive([b"x"])
    send(uploads, *[b"a"] * 30)
    clock.advance(LIFETIME_SECONDS)

    def sweep() -> None:
        for chore in sweeps(Settings(), database, objects, min_age=-60):
            chore.run()

    with ThreadPoolExecutor(2) as pool:
        for sweeper in [pool.submit(sweep) for _ in range(2)]:
            sweeper.result()
    sweep()
    assert keys(objects) == {stays.object_key}
    assert count(database, UploadPartRow) == 0
