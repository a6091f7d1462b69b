"""Files of a project: whole or absent, its own only, gone when expired."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.errors import InvalidRequest, NotFound, TooLarge
from core.files import FileStore
from core.ids import new_id
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore
from core.tables import FileRow, ProjectRow
from tests.clock import Clock


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def files(database: Database, objects: LocalObjectStore) -> FileStore:
    return make_project(database, objects)


def make_project(database: Database, objects: LocalObjectStore) -> FileStore:
    project_id = new_id("proj_")
    with database.begin() as session:
        session.add(ProjectRow(project_id=project_id, name="Test", created_at=0.0))
    return FileStore(database, objects, project_id, max_bytes=1000)


def stored_objects(objects: LocalObjectStore) -> list[Path]:
    return [path for path in objects.root.rglob("*") if path.is_file()]


def names(files: FileStore, **asked: object) -> list[str]:
    return [file.filename for file in files.list(**asked).data]  # type: ignore[arg-type]


def test_a_file_is_described_as_it_was_created(files: FileStore) -> None:
    created = files.create("train.jsonl", "fine-tune", [b"one", b"two"])
    assert files.get(created.id) == created


def test_a_description_tells_size_hash_and_time(files: FileStore, clock: Clock) -> None:
    file = files.create("train.jsonl", "fine-tune", [b"one", b"two"])
    assert (file.bytes, file.sha256, file.created_at) == (6, hashlib.sha256(b"onetwo").hexdigest(), clock.now)


def test_ids_are_openai_s(files: FileStore) -> None:
    assert len(files.create("f", "fine-tune", []).id.removeprefix("file-")) == 22


def test_chunks_give_the_bytes_back(files: FileStore) -> None:
    file = files.create("f", "fine-tune", [b"one", b"two"])
    assert b"".join(files.chunks(file.id)) == b"onetwo"


def test_open_gives_the_bytes_back(files: FileStore) -> None:
    with files.open(files.create("f", "fine-tune", [b"one", b"two"]).id) as source:
        assert source.read() == b"onetwo"


def test_an_unknown_file_is_not_found_in_openai_s_words(files: FileStore) -> None:
    with pytest.raises(NotFound) as caught:
        files.get("file-x")
    assert (caught.value.message, caught.value.param) == ("No such File object: file-x", "id")


def test_chunks_of_an_unknown_file_fail_at_the_call(files: FileStore) -> None:
    with pytest.raises(NotFound):
        files.chunks("file-x")


@pytest.mark.parametrize("call", ["get", "delete", "open", "chunks"])
def test_a_foreign_file_is_not_found(database: Database, objects: LocalObjectStore, files: FileStore, call: str) -> None:
    foreign = make_project(database, objects).create("f", "fine-tune", [b"x"])
    with pytest.raises(NotFound):
        getattr(files, call)(foreign.id)


def test_a_foreign_file_survives_an_attempt_to_delete_it(database: Database, objects: LocalObjectStore, files: FileStore) -> None:
    theirs = make_project(database, objects)
    file = theirs.create("f", "fine-tune", [b"x"])
    with pytest.raises(NotFound):
        files.delete(file.id)
    assert b"".join(theirs.chunks(file.id)) == b"x"


def test_foreign_files_are_not_listed(database: Database, objects: LocalObjectStore, files: FileStore) -> None:
    make_project(database, objects).create("f", "fine-tune", [b"x"])
    assert names(files) == []


def test_a_foreign_file_is_no_place_to_continue_from(database: Database, objects: LocalObjectStore, files: FileStore) -> None:
    foreign = make_project(database, objects).create("f", "fine-tune", [b"x"])
    with pytest.raises(NotFound) as caught:
        files.list(after=foreign.id)
    assert caught.value.param == "after"


def test_delete_removes_the_row(files: FileStore) -> None:
    file = files.create("f", "fine-tune", [b"x"])
    files.delete(file.id)
    with pytest.raises(NotFound):
        files.get(file.id)


def test_delete_removes_the_bytes(files: FileStore, objects: LocalObjectStore) -> None:
    files.delete(files.create("f", "fine-tune", [b"x"]).id)
    assert stored_objects(objects) == []


def test_a_file_whose_bytes_are_gone_is_not_found(files: FileStore, objects: LocalObjectStore) -> None:
    file = files.create("f", "fine-tune", [b"x"])
    objects.delete(ObjectKey.parse(file.object_key))
    with pytest.raises(NotFound):
        files.open(file.id)


def test_a_file_over_the_limit_is_too_large_by_name(files: FileStore) -> None:
    with pytest.raises(TooLarge) as caught:
        files.create("f", "fine-tune", [b"x" * 1001])
    assert caught.value.param == "file"


def test_a_file_over_the_limit_leaves_nothing(files: FileStore, objects: LocalObjectStore) -> None:
    with pytest.raises(TooLarge):
        files.create("f", "fine-tune", [b"x" * 1001])
    assert (stored_objects(objects), names(files)) == ([], [])


def test_a_row_that_cannot_be_written_leaves_no_bytes(database: Database, objects: LocalObjectStore) -> None:
    nobody = FileStore(database, objects, "proj_unknown", max_bytes=1000)
    with pytest.raises(IntegrityError):
        nobody.create("f", "fine-tune", [b"x"])
    assert stored_objects(objects) == []


def test_a_client_that_goes_away_leaves_nothing(files: FileStore, objects: LocalObjectStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        files.create("f", "fine-tune", chunks())
    assert (stored_objects(objects), names(files)) == ([], [])


def test_the_row_is_written_after_the_bytes(files: FileStore) -> None:
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        yield b"half"
        seen.append(names(files))

    files.create("f", "fine-tune", chunks())
    assert seen == [[]]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/abs", "a\\b", "файл.jsonl", "👩\u200d💻.jsonl", "x" * 255, "'; DROP TABLE files;--"]
)
def test_hostile_names_are_kept_as_text(files: FileStore, name: str) -> None:
    file = files.create(name, "fine-tune", [b"x"])
    assert files.get(file.id).filename == name


def test_names_do_not_reach_object_keys(files: FileStore) -> None:
    file = files.create("../../name", "fine-tune", [b"x"])
    assert file.object_key == f"{file.project_id}/files/{file.id}"


@pytest.mark.parametrize(
    "name", ["", "x" * 256, "a\0b", "a\nb", "a\r\nSet-Cookie: x", "a\x1b[2Jb", "a\x7fb", "a\u2028b", "a\udc80b"]
)
def test_unprintable_names_are_refused(files: FileStore, objects: LocalObjectStore, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        files.create(name, "fine-tune", [b"x"])
    assert (caught.value.status, caught.value.param, stored_objects(objects)) == (400, "file", [])


def test_received_bytes_are_no_file_yet(files: FileStore) -> None:
    files.receive([b"x"])
    assert names(files) == []


def test_received_bytes_can_be_made_a_file(files: FileStore) -> None:
    file = files.add(files.receive([b"one", b"two"]), "f", "fine-tune")
    assert b"".join(files.chunks(file.id)) == b"onetwo"


def test_discarded_bytes_are_gone(files: FileStore, objects: LocalObjectStore) -> None:
    files.discard(files.receive([b"x"]))
    assert stored_objects(objects) == []


def test_received_bytes_are_dropped_with_a_bad_name(files: FileStore, objects: LocalObjectStore) -> None:
    stored = files.receive([b"x"])
    with pytest.raises(InvalidRequest):
        files.add(stored, "a\nb", "fine-tune")
    assert stored_objects(objects) == []


def make_four(files: FileStore, clock: Clock) -> None:
    for name, purpose in (("a", "fine-tune"), ("b", "evals"), ("c", "fine-tune"), ("d", "fine-tune")):
        clock.now += 1
        files.create(name, purpose, [])


def test_the_newest_file_comes_first(files: FileStore, clock: Clock) -> None:
    make_four(files, clock)
    assert names(files) == ["d", "c", "b", "a"]


def test_the_oldest_file_comes_first_when_asked(files: FileStore, clock: Clock) -> None:
    make_four(files, clock)
    assert names(files, order="asc") == ["a", "b", "c", "d"]


def test_a_list_may_be_of_one_purpose(files: FileStore, clock: Clock) -> None:
    make_four(files, clock)
    assert names(files, purpose="fine-tune") == ["d", "c", "a"]


@pytest.mark.parametrize(("limit", "more"), [(3, True), (4, False), (5, False)])
def test_a_page_tells_whether_there_is_more(files: FileStore, clock: Clock, limit: int, more: bool) -> None:
    make_four(files, clock)
    page = files.list(limit=limit)
    assert (len(page.data), page.has_more) == (min(limit, 4), more)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_files_of_one_instant_miss_and_repeat_none(files: FileStore, order: str) -> None:
    created = {files.create(str(number), "fine-tune", []).id for number in range(7)}
    seen: list[str] = []
    more = True
    while more:
        page = files.list(after=seen[-1] if seen else None, limit=2, order=order)  # type: ignore[arg-type]
        seen += [file.id for file in page.data]
        more = page.has_more
    assert (len(seen), set(seen)) == (7, created)


def test_expiry_counts_from_creation(files: FileStore, clock: Clock) -> None:
    assert files.create("f", "fine-tune", [], expires_after=3600).expires_at == clock.now + 3600


@pytest.mark.parametrize("call", ["get", "delete", "open", "chunks"])
def test_an_expired_file_is_not_found(files: FileStore, clock: Clock, call: str) -> None:
    file = files.create("f", "fine-tune", [], expires_after=3600)
    clock.now += 3600
    with pytest.raises(NotFound):
        getattr(files, call)(file.id)


def test_an_expired_file_is_not_listed(files: FileStore, clock: Clock) -> None:
    files.create("f", "fine-tune", [], expires_after=3600)
    clock.now += 3600
    assert names(files) == []


def test_a_file_is_there_until_it_expires(files: FileStore, clock: Clock) -> None:
    file = files.create("f", "fine-tune", [], expires_after=3600)
    clock.now += 3599
    assert files.get(file.id) == file


def test_every_row_names_its_project(files: FileStore, database: Database) -> None:
    file = files.create("f", "fine-tune", [])
    with database.read() as session:
        assert session.get_one(FileRow, file.id).project_id == file.project_id
