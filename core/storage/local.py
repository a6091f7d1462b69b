"""Objects as files below one directory, as durable as the file system allows.

A write goes to a temporary file below `.tmp` (no object key can name it), is hashed on the way, synced, renamed to its key, and
the directory is synced: the object is there as a whole or not at all, also after a loss of power. Each writer holds a lock on
its temporary file for as long as it lives, so `sweep` can tell what a killed process left behind from what is being written.

Every path is walked segment by segment relative to a directory's descriptor and without following symbolic links, so that a
link planted below the root leads nowhere.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import StorageFull, TooLarge
from core.storage.base import ObjectKey, Stored

_TEMPORARY = ".tmp"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class LocalObjectStore:
    """An `ObjectStore` below `root`, which is created where missing. Several processes may use one root at the same time.

    A key that is a prefix of another key cannot be stored beside it: `put` raises `OSError`, as it does where something other
    than a directory stands in the key's way.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / _TEMPORARY).mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, key: ObjectKey, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stored:
        """Write an object, replacing any before it. Raises `TooLarge` past `max_bytes`, `StorageFull` where there is no room."""
        try:
            with self._temporary() as (directory, name, target):
                size, digest = _write(target, chunks, max_bytes)
                os.fsync(target)
                with self._walk(key.segments[:-1], create=True) as parent:
                    os.rename(name, key.segments[-1], src_dir_fd=directory, dst_dir_fd=parent)
                    os.fsync(parent)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFull("The object store has no room left.") from error
            raise
        return Stored(key, size, digest)

    def open(self, key: ObjectKey) -> BinaryIO:
        """A reader over the whole object, to be closed by the caller; raises `KeyError` where there is none."""
        try:
            with self._walk(key.segments[:-1]) as parent:
                source = os.open(key.segments[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise KeyError(str(key)) from None
            raise
        if not stat.S_ISREG(os.fstat(source).st_mode):
            os.close(source)
            raise KeyError(str(key))
        return os.fdopen(source, "rb")

    def stream(self, key: ObjectKey, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The object's bytes in chunks; raises `KeyError` before the first where there is none."""
        with self.open(key) as source:
            while chunk := source.read(chunk_bytes):
                yield chunk

    def delete(self, key: ObjectKey) -> None:
        """Remove the object; nothing happens where there is none."""
        try:
            with self._walk(key.segments[:-1]) as parent:
                os.unlink(key.segments[-1], dir_fd=parent)
                os.fsync(parent)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise

    def list(self, prefix: ObjectKey) -> Iterator[ObjectKey]:
        """Keys below `prefix`, in no order."""
        pending = [prefix]
        while pending:
            here = pending.pop()
            directories, objects = self._entries(here)
            pending.extend(directories)
            yield from objects

    def written_at(self, key: ObjectKey) -> float:
        """When the object was written, in unix seconds; raises `KeyError` where there is none."""
        with self.open(key) as source:
            return os.fstat(source.fileno()).st_mtime

    def sweep(self, *, min_age: float, dry_run: bool = False) -> int:
        """Remove temporary files of writers that died, `min_age` seconds old; returns how many. Those of the living stay."""
        newest = time.time() - min_age
        removed = 0
        with self._walk((_TEMPORARY,)) as directory:
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries]
            for name in names:
                with suppress(FileNotFoundError, BlockingIOError):
                    removed += _remove_unlocked(directory, name, newest, dry_run)
        return removed

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, str, int]]:
        """A locked temporary file: its directory, its name there, and the file. Gone afterwards unless it was renamed."""
        with self._walk((_TEMPORARY,)) as directory:
            name, target = _create_locked(directory)
            try:
                yield directory, name, target
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
                raise
            finally:
                os.close(target)

    @contextmanager
    def _walk(self, segments: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """A descriptor of the directory below the root, reached without following links."""
        here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in segments:
                if create:
                    _make_directory(segment, here)
                below = os.open(segment, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    def _entries(self, prefix: ObjectKey) -> tuple[Sequence[ObjectKey], Sequence[ObjectKey]]:
        """Directories and objects directly below `prefix`; names that are no key's segment, links and devices are neither."""
        directories, objects = [], []
        try:
            with self._walk(prefix.segments) as here, os.scandir(here) as entries:
                for entry in entries:
                    with suppress(ValueError):
                        key = prefix / entry.name
                        if entry.is_dir(follow_symlinks=False):
                            directories.append(key)
                        elif entry.is_file(follow_symlinks=False):
                            objects.append(key)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        return directories, objects


def _write(target: int, chunks: Iterable[bytes], max_bytes: int | None) -> tuple[int, str]:
    """Write all chunks; returns their number of bytes and sha256."""
    size = 0
    with _Hash() as digest:
        for chunk in chunks:
            size += len(chunk)
            if max_bytes is not None and size > max_bytes:
                raise TooLarge(f"The object is larger than the limit of {max_bytes} bytes.")
            digest.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(target, rest) :]
        return size, digest.hexdigest()


class _Hash:
    """A sha256 that is computed while its caller writes the same bytes: after the first chunk, in a thread of its own."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._is_first = True

    def __enter__(self) -> _Hash:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown()

    def update(self, chunk: bytes) -> None:
        """Begin with a chunk, once the one before is done. It must not be changed before the next call."""
        if self._is_first:
            self._is_first = False
            self._digest.update(chunk)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "sha256")
        self._wait()
        self._pending = self._thread.submit(self._digest.update, chunk)

    def hexdigest(self) -> str:
        """Of all chunks."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


def _create_locked(directory: int) -> tuple[str, int]:
    """A new file under a fresh name, locked by this process."""
    while True:
        name = secrets.token_hex(16)
        target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        fcntl.flock(target, fcntl.LOCK_EX)
        if os.fstat(target).st_nlink:
            return name, target
        os.close(target)  # a sweep took it between creation and lock


def _remove_unlocked(directory: int, name: str, newest: float, dry_run: bool) -> bool:
    """Remove a temporary file unless it was written after `newest`; whether it was removed, or with `dry_run` would be.

    Raises `BlockingIOError` where its writer is alive, `FileNotFoundError` where it is gone.
    """
    target = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(target).st_mtime > newest:
            return False
        if not dry_run:
            os.unlink(name, dir_fd=directory)
        return True
    finally:
        os.close(target)


def _make_directory(name: str, parent: int) -> None:
    """Create a directory durably where there is none."""
    try:
        os.mkdir(name, mode=0o700, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)
