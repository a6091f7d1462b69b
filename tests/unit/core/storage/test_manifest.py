"""A directory that is fetched is the directory that was written, or there is an error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from core.errors import CorruptObject, StorageFull
from core.storage import manifest
from core.storage.base import ObjectKey, Stored
from core.storage.local import LocalObjectStore

PREFIX = ObjectKey.of("proj", "jobs", "ftjob-1", "checkpoints", "3")
FILES = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": b"weights" * 1000,
    "optimizer/state.safetensors": b"",
    "z": b"z",
}
EXTRA = {"step": 3, "reward": 0.25, "names": ["ä", None], "nested": {"b": 1, "a": True}}


class FillingStore(LocalObjectStore):
    """A store whose disk is full after some objects."""

    def __init__(self, root: Path, room: int) -> None:
        super().__init__(root)
        self.room = room

    def put(self, key: ObjectKey, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stored:
        if self.room == 0:
            raise StorageFull("full")
        self.room -= 1
        return super().put(key, chunks, max_bytes=max_bytes)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_directory(tmp_path / "source", FILES)


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def key(store: LocalObjectStore, directory: Path) -> ObjectKey:
    return manifest.write(store, PREFIX, directory, EXTRA)


def make_directory(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def path_of(store: LocalObjectStore, key: ObjectKey) -> Path:
    return store.root.joinpath(*key.segments)


def assert_refused(store: LocalObjectStore, key: ObjectKey, target: Path) -> None:
    with pytest.raises(CorruptObject):
        manifest.fetch(store, key, target)


def test_the_manifest_lies_below_the_prefix(key: ObjectKey) -> None:
    assert key == PREFIX / "manifest.json"


def test_what_is_fetched_is_what_was_written(store: LocalObjectStore, key: ObjectKey, tmp_path: Path) -> None:
    manifest.fetch(store, key, tmp_path / "target")
    assert content(tmp_path / "target") == FILES


def test_an_empty_target_may_exist(store: LocalObjectStore, key: ObjectKey, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    manifest.fetch(store, key, tmp_path / "target")
    assert content(tmp_path / "target") == FILES


def test_read_gives_back_what_the_writer_wanted_to_remember(store: LocalObjectStore, key: ObjectKey) -> None:
    assert manifest.read(store, key).extra == EXTRA


def test_read_tells_names_and_sizes(store: LocalObjectStore, key: ObjectKey) -> None:
    parts = manifest.read(store, key).parts
    assert [(part.name, part.bytes) for part in parts] == [(name, len(FILES[name])) for name in sorted(FILES)]


def test_numbers_as_keys_of_extra_become_text(store: LocalObjectStore, directory: Path) -> None:
    key = manifest.write(store, PREFIX, directory, {"rewards": {9: 0.5, 10: 1.0}})
    assert manifest.read(store, key).extra == {"rewards": {"9": 0.5, "10": 1.0}}


def test_extra_that_is_no_json_stores_nothing(store: LocalObjectStore, directory: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest.write(store, PREFIX, directory, {"reward": float("nan")})
    assert list(store.list(PREFIX)) == []


def test_a_link_in_the_directory_is_refused(store: LocalObjectStore, directory: Path) -> None:
    (directory / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="neither a file nor a directory"):
        manifest.write(store, PREFIX, directory, {})


@pytest.mark.parametrize("name", ["manifest.json", ".hidden", "with space"])
def test_names_that_cannot_be_parts_are_refused(store: LocalObjectStore, directory: Path, name: str) -> None:
    (directory / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"not an object key|manifest's own name"):
        manifest.write(store, PREFIX, directory, {})


@pytest.mark.parametrize("room", range(len(FILES) + 1))
def test_a_write_cut_short_has_no_manifest(tmp_path: Path, directory: Path, room: int) -> None:
    store = FillingStore(tmp_path / "small", room)
    with pytest.raises(StorageFull):
        manifest.write(store, PREFIX, directory, EXTRA)
    with pytest.raises(CorruptObject, match="missing"):
        manifest.read(store, PREFIX / "manifest.json")


def test_every_altered_byte_of_the_manifest_is_noticed(store: LocalObjectStore, key: ObjectKey) -> None:
    raw = path_of(store, key).read_bytes()
    unnoticed = []
    for position, byte in enumerate(raw):
        for altered in {byte ^ 1, byte ^ 0x20, 0, ord(" ")} - {byte}:
            path_of(store, key).write_bytes(raw[:position] + bytes([altered]) + raw[position + 1 :])
            try:
                manifest.read(store, key)
                unnoticed.append((position, altered))
            except CorruptObject:
                pass
    assert unnoticed == []


def test_every_truncation_of_the_manifest_is_noticed(store: LocalObjectStore, key: ObjectKey) -> None:
    raw = path_of(store, key).read_bytes()
    unnoticed = []
    for length in range(len(raw)):
        path_of(store, key).write_bytes(raw[:length])
        try:
            manifest.read(store, key)
            unnoticed.append(length)
        except CorruptObject:
            pass
    assert unnoticed == []


@pytest.mark.parametrize("raw", [b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"parts":[1],"extra":{},"sha256":""}'])
def test_what_is_no_manifest_is_damaged(store: LocalObjectStore, key: ObjectKey, raw: bytes) -> None:
    path_of(store, key).write_bytes(raw)
    with pytest.raises(CorruptObject, match="damaged"):
        manifest.read(store, key)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_part_is_corrupt(store: LocalObjectStore, key: ObjectKey, tmp_path: Path, name: str) -> None:
    store.delete(manifest.part_key(key, name))
    assert_refused(store, key, tmp_path / "target")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_longer_part_is_corrupt(store: LocalObjectStore, key: ObjectKey, tmp_path: Path, name: str) -> None:
    path = path_of(store, manifest.part_key(key, name))
    path.write_bytes(path.read_bytes() + b"x")
    assert_refused(store, key, tmp_path / "target")


def test_a_shorter_part_is_corrupt(store: LocalObjectStore, key: ObjectKey, tmp_path: Path) -> None:
    path = path_of(store, manifest.part_key(key, "adapter_model.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(store, key, tmp_path / "target")


def test_an_altered_bit_of_a_part_is_corrupt(store: LocalObjectStore, key: ObjectKey, tmp_path: Path) -> None:
    path = path_of(store, manifest.part_key(key, "adapter_model.safetensors"))
    raw = bytearray(path.read_bytes())
    raw[3000] ^= 1
    path.write_bytes(raw)
    assert_refused(store, key, tmp_path / "target")


def test_a_failed_fetch_leaves_nothing(store: LocalObjectStore, key: ObjectKey, tmp_path: Path) -> None:
    store.delete(manifest.part_key(key, "z"))
    assert_refused(store, key, tmp_path / "fetched" / "target")
    assert list((tmp_path / "fetched").iterdir()) == []


def test_delete_leaves_nothing_below_the_prefix(store: LocalObjectStore, key: ObjectKey) -> None:
    manifest.delete(store, key)
    assert list(store.list(PREFIX)) == []


def test_delete_leaves_the_neighbours(store: LocalObjectStore, key: ObjectKey, directory: Path, tmp_path: Path) -> None:
    other = manifest.write(store, ObjectKey((*PREFIX.segments[:-1], "30")), directory, {})
    manifest.delete(store, key)
    manifest.fetch(store, other, tmp_path / "target")
    assert content(tmp_path / "target") == FILES


def test_an_interrupted_delete_can_be_repeated(store: LocalObjectStore, key: ObjectKey) -> None:
    store.delete(key)
    manifest.delete(store, key)
    assert list(store.list(PREFIX)) == []


def test_a_directory_can_be_written_again(store: LocalObjectStore, key: ObjectKey, directory: Path, tmp_path: Path) -> None:
    (directory / "z").write_bytes(b"new")
    manifest.fetch(store, manifest.write(store, PREFIX, directory, {}), tmp_path / "target")
    assert content(tmp_path / "target") == {**FILES, "z": b"new"}
