"""The seam to object storage, and the only kind of name it accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

_SEGMENT = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,127}")


@dataclass(frozen=True)
class ObjectKey:
    """A name made of server-chosen segments, so that no client's text can reach a path. Raises ValueError on anything else."""

    segments: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.segments or not all(_SEGMENT.fullmatch(segment) for segment in self.segments):
            raise ValueError(f"not an object key: {self.segments!r}")

    @classmethod
    def of(cls, *segments: str) -> ObjectKey:
        """`ObjectKey.of("proj", "files", "file-1")`."""
        return cls(segments)

    @classmethod
    def parse(cls, text: str) -> ObjectKey:
        """The inverse of `str(key)`."""
        return cls(tuple(text.split("/")))

    def __str__(self) -> str:
        return "/".join(self.segments)

    def __truediv__(self, segment: str) -> ObjectKey:
        return ObjectKey((*self.segments, segment))


@dataclass(frozen=True)
class Stored:
    """What a finished write left behind."""

    key: ObjectKey
    bytes: int
    sha256: str


class ObjectStore(Protocol):
    """Whole objects under keys. A write is durable and complete when `put` returns, and leaves nothing when it raises."""

    def put(self, key: ObjectKey, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stored:
        """Write an object, replacing any before it. Raises `TooLarge` past `max_bytes`, `StorageFull` where there is no room."""

    def open(self, key: ObjectKey) -> BinaryIO:
        """A reader over the whole object, to be closed by the caller; raises `KeyError` where there is none.

        What it reads is of one object. Where a store keeps none for readers, reading raises `KeyError` once it is deleted, and
        `CorruptObject` once it is replaced.
        """

    def stream(self, key: ObjectKey, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The object's bytes in chunks; raises `KeyError` before the first where there is none."""

    def delete(self, key: ObjectKey) -> None:
        """Remove the object; nothing happens where there is none."""

    def list(self, prefix: ObjectKey) -> Iterator[ObjectKey]:
        """Keys below `prefix`, in no order."""

    def written_at(self, key: ObjectKey) -> float:
        """When the object was written, in unix seconds by the store's clock; raises `KeyError` where there is none."""

    def sweep(self, *, min_age: float, dry_run: bool = False) -> int:
        """Remove what writers that died left unfinished at least `min_age` seconds ago; returns how many. No key names it.

        A store that cannot tell the dead from the living goes by the age alone. With `dry_run` they are only counted.
        """
