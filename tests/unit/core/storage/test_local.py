"""Beyond the contract: planted links lead nowhere, dead writers leave nothing, full disks are told."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore

ROOT = Path(__file__).resolve().parents[4]
KEY = ObjectKey.of("proj", "files", "file-1")

SLOW_WRITER = """
import sys, time
from pathlib import Path
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore

def chunks():
    yield b"x" * 100_000
    print("half", flush=True)
    time.sleep(600)
    yield b"never"

LocalObjectStore(Path(sys.argv[1])).put(ObjectKey.of("proj", "files", "file-1"), chunks())
"""

LIMITED_WRITER = """
import resource, sys
from pathlib import Path
from core.errors import StorageFull
from core.storage.base import ObjectKey
from core.storage.local import LocalObjectStore

resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
store = LocalObjectStore(Path(sys.argv[1]))
try:
    store.put(ObjectKey.of("proj", "files", "file-1"), [b"x" * 100_000] * 2)
except StorageFull as error:
    print(error.code, error.status)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that no key may reach, with a file worth stealing."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "file-1").write_bytes(b"secret")
    return directory


@pytest.fixture
def slow_writer(store: LocalObjectStore) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a write."""
    command = [sys.executable, "-c", SLOW_WRITER, str(store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process
        process.kill()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def temporary_files(store: LocalObjectStore) -> list[Path]:
    return list((store.root / ".tmp").iterdir())


def test_a_linked_object_is_not_opened(store: LocalObjectStore, outside: Path) -> None:
    (store.root / "proj" / "files").mkdir(parents=True)
    (store.root / "proj" / "files" / "file-1").symlink_to(outside / "file-1")
    with pytest.raises(KeyError):
        store.open(KEY)


@pytest.mark.parametrize("planted", ["proj", "proj/files"])
def test_a_linked_directory_is_not_followed_by_open(store: LocalObjectStore, outside: Path, planted: str) -> None:
    (outside / "files").symlink_to(outside)
    (store.root / planted).parent.mkdir(exist_ok=True)
    (store.root / planted).symlink_to(outside)
    with pytest.raises(KeyError):
        store.open(KEY)


def test_a_linked_directory_is_not_followed_by_put(store: LocalObjectStore, outside: Path) -> None:
    (store.root / "proj").mkdir()
    (store.root / "proj" / "files").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        store.put(KEY, [b"overwritten"])
    assert (outside / "file-1").read_bytes() == b"secret"


def test_a_linked_directory_is_not_followed_by_delete(store: LocalObjectStore, outside: Path) -> None:
    (store.root / "proj").mkdir()
    (store.root / "proj" / "files").symlink_to(outside)
    store.delete(KEY)
    assert (outside / "file-1").exists()


def test_put_replaces_a_link_and_not_its_target(store: LocalObjectStore, outside: Path) -> None:
    (store.root / "proj" / "files").mkdir(parents=True)
    (store.root / "proj" / "files" / "file-1").symlink_to(outside / "file-1")
    store.put(KEY, [b"mine"])
    assert (outside / "file-1").read_bytes() == b"secret"


def test_delete_removes_a_link_and_not_its_target(store: LocalObjectStore, outside: Path) -> None:
    (store.root / "proj" / "files").mkdir(parents=True)
    (store.root / "proj" / "files" / "file-1").symlink_to(outside / "file-1")
    store.delete(KEY)
    assert (outside / "file-1").read_bytes() == b"secret"


def test_list_follows_no_links(store: LocalObjectStore, outside: Path) -> None:
    store.put(KEY, [b"x"])
    (store.root / "proj" / "dir").symlink_to(outside)
    (store.root / "proj" / "file").symlink_to(outside / "file-1")
    assert list(store.list(ObjectKey.of("proj"))) == [KEY]


def test_a_named_pipe_is_no_object_and_does_not_block(store: LocalObjectStore) -> None:
    (store.root / "proj" / "files").mkdir(parents=True)
    os.mkfifo(store.root / "proj" / "files" / "file-1")
    with pytest.raises(KeyError):
        store.open(KEY)


def test_an_object_in_the_way_of_a_key_stays(store: LocalObjectStore) -> None:
    store.put(KEY, [b"first"])
    with pytest.raises(NotADirectoryError):
        store.put(KEY / "below", [b"second"])
    assert b"".join(store.stream(KEY)) == b"first"


def test_a_failed_rename_leaves_no_temporary_file(store: LocalObjectStore) -> None:
    store.put(KEY, [b"first"])
    with pytest.raises(IsADirectoryError):
        store.put(ObjectKey.of("proj", "files"), [b"second"])
    assert temporary_files(store) == []


def test_others_may_not_read_objects(store: LocalObjectStore) -> None:
    store.put(KEY, [b"x"])
    assert stat.S_IMODE((store.root / "proj" / "files" / "file-1").stat().st_mode) == 0o600


def test_a_finished_write_leaves_no_temporary_file(store: LocalObjectStore) -> None:
    store.put(KEY, [b"x"])
    assert temporary_files(store) == []


def test_no_descriptor_stays_open(store: LocalObjectStore) -> None:
    before = open_descriptors()
    store.put(KEY, [b"x"])
    b"".join(store.stream(KEY))
    list(store.list(ObjectKey.of("proj")))
    with pytest.raises(KeyError):
        store.open(KEY / "below")
    store.delete(KEY)
    assert open_descriptors() == before


def test_a_killed_writer_leaves_no_object(store: LocalObjectStore, slow_writer: subprocess.Popen[str]) -> None:
    os.kill(slow_writer.pid, signal.SIGKILL)
    slow_writer.wait()
    assert list(store.list(ObjectKey.of("proj"))) == []


def test_a_killed_writer_is_swept(store: LocalObjectStore, slow_writer: subprocess.Popen[str]) -> None:
    os.kill(slow_writer.pid, signal.SIGKILL)
    slow_writer.wait()
    assert store.sweep(min_age=0) == 1
    assert temporary_files(store) == []


def test_a_living_writer_is_not_swept(store: LocalObjectStore, slow_writer: subprocess.Popen[str]) -> None:
    assert store.sweep(min_age=0) == 0
    assert len(temporary_files(store)) == 1


def test_a_write_past_the_file_system_s_limit_is_storage_full_and_leaves_nothing(store: LocalObjectStore) -> None:
    command = [sys.executable, "-c", LIMITED_WRITER, str(store.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "storage_full 507\n"
    assert temporary_files(store) + list(store.list(ObjectKey.of("proj"))) == []
