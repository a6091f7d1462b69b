"""Uploads on both databases: bounded, expiring, whole or absent."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import core.uploads
from core.db import Database
from core.errors import InvalidRequest, NotFound, TooLarge, WrongState
from core.files import FileStore
from core.settings import DEFAULT_PROJECT
from core.storage.base import ObjectKey, Stored
from core.storage.local import LocalObjectStore
from core.upload_types import NewUpload, Upload, UploadStatus
from core.uploads import LIFETIME_SECONDS, UploadStore

from .parts import FOREIGN_PROJECT, Clock


class SteeredStore(LocalObjectStore):
    """Lets a test act in the midst of a write."""

    midway: Callable[[], object] | None = None

    def put(self, key: ObjectKey, chunks, *, max_bytes: int | None = None) -> Stored:
        def steered() -> Iterator[bytes]:
            for chunk in chunks:
                yield chunk
                act, self.midway = self.midway, None
                if act is not None:
                    act()

        return super().put(key, steered(), max_bytes=max_bytes)


@pytest.fixture
def objects(tmp_path: Path) -> SteeredStore:
    return SteeredStore(tmp_path / "objects")


@pytest.fixture
def files(database: Database, objects: SteeredStore) -> FileStore:
    return FileStore(database, objects, DEFAULT_PROJECT, 10)


@pytest.fixture
def uploads(database: Database, objects: SteeredStore) -> UploadStore:
    return UploadStore(database, objects, DEFAULT_PROJECT, 1000)


def begin(uploads: UploadStore, size: int = 4) -> Upload:
    return uploads.create(NewUpload("a.bin", "user_data", size, "x/y"))


def send(uploads: UploadStore, upload: Upload, *parts: bytes) -> list[str]:
    return [uploads.add_part(upload.id, uploads.receive(upload.id, [part])).id for part in parts]


def kept(objects: SteeredStore) -> list[bytes]:
    return sorted(path.read_bytes() for path in objects.root.rglob("*") if path.is_file())


def test_the_file_is_what_was_sent(uploads: UploadStore, files: FileStore) -> None:
    upload = begin(uploads)
    file = uploads.complete(upload.id, send(uploads, upload, b"aa", b"bb")).file
    assert file is not None
    assert files.get(file.id) == file
    assert (file.bytes, file.sha256) == (4, hashlib.sha256(b"aabb").hexdigest())
    assert b"".join(files.chunks(file.id)) == b"aabb"


def test_parts_that_are_not_named_are_dropped(uploads: UploadStore, objects: SteeredStore) -> None:
    upload = begin(uploads)
    first, _, second = send(uploads, upload, b"aa", b"aa", b"bb")
    uploads.complete(upload.id, [first, second])
    assert kept(objects) == [b"aabb"]


def test_an_upload_expires_at_its_time(uploads: UploadStore, clock: Clock) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aabb")
    stored = uploads.receive(upload.id, [b"cc"])
    clock.advance(LIFETIME_SECONDS)
    for call in (
        lambda: uploads.complete(upload.id, parts),
        lambda: uploads.receive(upload.id, [b"x"]),
        lambda: uploads.add_part(upload.id, stored),
        lambda: uploads.cancel(upload.id),
    ):
        with pytest.raises(WrongState, match="expired"):
            call()


def test_a_part_refused_at_its_end_leaves_nothing(uploads: UploadStore, objects: SteeredStore) -> None:
    upload = begin(uploads)
    stored = uploads.receive(upload.id, [b"aa"])
    uploads.cancel(upload.id)
    with pytest.raises(WrongState):
        uploads.add_part(upload.id, stored)
    assert kept(objects) == []


def test_the_number_of_parts_is_bounded(uploads: UploadStore, objects: SteeredStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.uploads, "MAX_PARTS", 3)
    upload = begin(uploads)
    send(uploads, upload, b"a", b"b", b"c")
    with pytest.raises(InvalidRequest) as caught:
        send(uploads, upload, b"d")
    assert (caught.value.code, len(kept(objects))) == ("too_many_parts", 3)


def test_parts_at_the_same_time_keep_to_the_bound(uploads: UploadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.uploads, "MAX_PARTS", 3)
    upload = begin(uploads)
    received = [uploads.receive(upload.id, [b"a"]) for _ in range(8)]
    accepted = []

    def add(stored: Stored) -> None:
        with suppress(InvalidRequest):
            accepted.append(uploads.add_part(upload.id, stored))

    threads = [threading.Thread(target=add, args=(stored,)) for stored in received]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) == 3


def test_the_bytes_of_all_parts_are_bounded(uploads: UploadStore, objects: SteeredStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.uploads, "MAX_PART_BYTES", 4)
    upload = begin(uploads)
    send(uploads, upload, b"aaaa", b"aaaa", b"aaaa")  # twice as announced, and one part more
    with pytest.raises(InvalidRequest) as caught:
        send(uploads, upload, b"a")
    assert (caught.value.code, len(kept(objects))) == ("too_many_bytes", 3)


def test_a_part_has_a_limit(uploads: UploadStore, objects: SteeredStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.uploads, "MAX_PART_BYTES", 4)
    with pytest.raises(TooLarge):
        send(uploads, begin(uploads), b"aaaaa")
    assert kept(objects) == []


def test_an_upload_has_a_limit(uploads: UploadStore) -> None:
    with pytest.raises(TooLarge):
        begin(uploads, 1001)


def test_a_wrong_md5_leaves_the_upload_as_it_was(uploads: UploadStore, objects: SteeredStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aa", b"bb")
    with pytest.raises(InvalidRequest, match="md5"):
        uploads.complete(upload.id, parts, "0" * 32)
    assert kept(objects) == [b"aa", b"bb"]
    assert uploads.complete(upload.id, parts, hashlib.md5(b"aabb").hexdigest()).status == UploadStatus.COMPLETED


def test_a_cancellation_in_the_midst_of_the_joining_wins(uploads: UploadStore, files: FileStore, objects: SteeredStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aa", b"bb")
    objects.midway = lambda: uploads.cancel(upload.id)
    with pytest.raises(WrongState):
        uploads.complete(upload.id, parts)
    assert (kept(objects), files.list().data) == ([], ())


def test_one_that_expires_while_it_is_joined_is_complete(uploads: UploadStore, objects: SteeredStore, clock: Clock) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aa", b"bb")
    objects.midway = lambda: clock.advance(LIFETIME_SECONDS)
    assert uploads.complete(upload.id, parts).status == UploadStatus.COMPLETED


def test_the_same_completion_twice_makes_one_file(uploads: UploadStore, files: FileStore, objects: SteeredStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aa", b"bb")
    other: list[Upload] = []
    objects.midway = lambda: other.append(uploads.complete(upload.id, parts))
    second = uploads.complete(upload.id, parts)
    assert [second] == other
    assert (kept(objects), len(files.list().data)) == ([b"aabb"], 1)


def test_another_completion_comes_too_late(uploads: UploadStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aa", b"bb")
    uploads.complete(upload.id, parts)
    with pytest.raises(WrongState, match="completed"):
        uploads.complete(upload.id, parts[::-1])


def test_a_deleted_file_does_not_come_back(uploads: UploadStore, files: FileStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aabb")
    first = uploads.complete(upload.id, parts)
    assert first.file is not None
    files.delete(first.file.id)
    assert uploads.complete(upload.id, parts).file is None


def test_foreign_uploads_do_not_exist(database: Database, objects: SteeredStore, uploads: UploadStore) -> None:
    upload = begin(uploads)
    parts = send(uploads, upload, b"aabb")
    foreign = UploadStore(database, objects, FOREIGN_PROJECT, 1000)
    for call in (
        lambda: foreign.receive(upload.id, [b"x"]),
        lambda: foreign.complete(upload.id, parts),
        lambda: foreign.cancel(upload.id),
    ):
        with pytest.raises(NotFound):
            call()
