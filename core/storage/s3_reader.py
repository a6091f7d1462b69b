"""A seekable reader over an object that is fetched in ranges, as far as it is read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_BYTES = 4 * 1024 * 1024
"""What one request fetches: most objects as a whole, of a large one what a reader of a column or a file's begin needs."""


@dataclass(frozen=True)
class Opened:
    """An object as it was found: its size, its first bytes, and how to get the others (from, to before)."""

    size: int
    first: bytes
    fetch: Callable[[int, int], bytes]


class RangeReader(io.RawIOBase):
    """Holds one window of the object in memory; a place outside of it is fetched when it is read."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened
        self._window, self._start = opened.first, 0
        self._place = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, which may be behind the end. Raises `ValueError` before the begin."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._opened.size}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative seek position {origin + offset}")
        self._place = origin + offset
        return self._place

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as one window goes; 0 at the end. Raises what fetching raises."""
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        count = min(len(target), self._opened.size - self._place)
        if count <= 0:
            return 0
        offset = self._place - self._start
        if not 0 <= offset < len(self._window):
            stop = min(self._opened.size, self._place + max(count, WINDOW_BYTES))
            self._window, self._start, offset = self._opened.fetch(self._place, stop), self._place, 0
        piece = self._window[offset : offset + count]
        target[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
