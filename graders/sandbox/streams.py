"""Frames on asyncio's streams."""

from __future__ import annotations

import asyncio
from typing import Any

from graders.sandbox import frames


async def read(reader: asyncio.StreamReader, limit: int = frames.MAX_BYTES) -> Any:
    """The next message, or None at the end of the stream. Raises `BrokenFrame`."""
    try:
        size = frames.size_of(await reader.readexactly(frames.HEADER.size), limit)
        return frames.load(await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        if error.expected == frames.HEADER.size and not error.partial:
            return None
        raise frames.BrokenFrame("the stream ended inside a frame") from None


async def read_up_to(reader: asyncio.StreamReader, keep: int, drain: int) -> bytes:
    """The first `keep` bytes of a stream that is read to its end, or until `drain` bytes have come."""
    kept, total = bytearray(), 0
    while total < drain and (piece := await reader.read(1 << 16)):
        total += len(piece)
        kept += piece[: max(0, keep - len(kept))]
    return bytes(kept)
