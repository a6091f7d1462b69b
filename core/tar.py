"""Tar archives made while they are sent: nothing is gathered in memory or on disk, and the size is known before."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_BLOCK = 512
_CHUNK_BYTES = 1 << 20
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True)
class Member:
    """A file of the archive: its name, size, and how to begin reading it."""

    name: str
    size: int
    read: Callable[[], Iterable[bytes]]


def archive_size(members: Sequence[Member]) -> int:
    """Bytes of the whole archive."""
    return sum(len(_header(member)) + member.size + _padding(member.size) for member in members) + len(_END)


def archive(members: Sequence[Member]) -> Iterator[bytes]:
    """The archive in chunks; passes on what reading a member raises."""
    for member in members:
        yield _header(member)
        yield from member.read()
        yield bytes(_padding(member.size))
    yield _END


def directory_members(directory: Path) -> list[Member]:
    """Every regular file below a directory, sorted by name. Links are left out."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return [Member(path.relative_to(directory).as_posix(), path.stat().st_size, partial(_read, path)) for path in paths]


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> int:
    return -size % _BLOCK


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
