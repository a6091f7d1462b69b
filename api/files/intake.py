"""A request's body on its way from the event loop to the thread that takes it in.

The loop only collects what the socket gives; parsing, hashing and writing go on in the thread meanwhile. Between the two are
never more than `PIECES` pieces: where the disk is slower than the client, the client waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

PIECE_BYTES = 64 * 1024
PIECES = 8

T = TypeVar("T")


async def take_in(stream: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], T], *, limiter: CapacityLimiter) -> T:
    """What `work` makes of the bytes of `stream`, in one of the limiter's threads.

    What the stream raises (the client hung up, the body is over its limit) is raised in the thread where it reads on, so that
    `work` can clean up. A `work` that ends early leaves the rest of the stream unread.
    """
    pipe = _Pipe(asyncio.get_running_loop())
    filling = asyncio.create_task(pipe.fill(stream))
    try:
        return await run_sync(work, pipe.pieces(), limiter=limiter)
    finally:
        filling.cancel()
        with suppress(asyncio.CancelledError):
            await filling


class _Pipe:
    """A bounded queue with its one writer on the event loop and its one reader in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._room = asyncio.Semaphore(0)
        """Nothing is read from the client before a thread is there to take it."""

    async def fill(self, stream: AsyncIterator[bytes]) -> None:
        """Pass on the stream's bytes, then its end or what it raises."""
        try:
            async for piece in _gathered(stream):
                await self._room.acquire()
                self._queue.put(piece)
        except BaseException as error:  # the thread waits for something to come, whatever has happened here
            self._queue.put(error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._queue.put(None)

    def pieces(self) -> Iterator[bytes]:
        """In the thread: what `fill` passes on. Raises what the stream raised."""
        for _ in range(PIECES):
            self._make_room()
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            self._make_room()
            yield piece

    def _make_room(self) -> None:
        self._loop.call_soon_threadsafe(self._room.release)


async def _gathered(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `PIECE_BYTES`, but for the last: a client may send single bytes."""
    waiting = bytearray()
    async for chunk in stream:
        if not waiting and len(chunk) >= PIECE_BYTES:
            yield chunk
            continue
        waiting += chunk
        if len(waiting) >= PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
