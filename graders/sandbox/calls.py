"""The server's ends of what one call speaks on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any

from graders.sandbox import frames, streams

KILL_SECONDS = 5.0
"""How long what was killed may take to be gone."""
_REPLY_BYTES = 64 * 1024
_FLOOD_BYTES = 16 << 20
"""A program that writes more than this to a stream finds it closed."""


class Collapsed(Exception):
    """The zygote has gone, or can no longer be trusted to answer; the call may not be the one at fault."""


class Channel:
    """Our end of one call's channel. Plain socket calls: a stream's set-up would cost as much as all the rest here."""

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self._connection = connection
        self._loop = asyncio.get_running_loop()

    async def ask(self, request: bytes) -> Any:
        """Send the request and return the next frame. Raises `BrokenFrame`, or `Collapsed` where there is none."""
        try:
            with contextlib.suppress(ConnectionError):  # A child may die before it has read; its status still comes.
                await self._loop.sock_sendall(self._connection, request)
            return await self._frame()
        except ConnectionError:
            # The zygote holds the other end until it has reported the child's status, so it must be gone.
            raise Collapsed from None

    async def last(self) -> Any:
        """The last frame before the zygote lets go of the call, None where there was none. Raises `BrokenFrame`."""
        frame = None
        with contextlib.suppress(ConnectionError):
            while True:
                frame = await self._frame()
        return frame

    async def rest(self) -> None:
        """Until the zygote lets go of the call, which it does when the call's process has ended."""
        with contextlib.suppress(ConnectionError):
            while await self._loop.sock_recv(self._connection, _REPLY_BYTES):
                pass

    async def _frame(self) -> Any:
        size = frames.size_of(await self._read(frames.HEADER.size), _REPLY_BYTES)
        return frames.load(await self._read(size))

    async def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self._loop.sock_recv(self._connection, size - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data


class Output:
    """One of a program's standard streams. `start` once the other end was handed over; then `text`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ours, self.theirs = os.pipe()
        self._task: asyncio.Task[bytes] | None = None

    def start(self) -> None:
        """Begin to read; what is not ours to hold is closed."""
        os.close(self.theirs)
        self.theirs = -1
        ours, self._ours = self._ours, -1
        self._task = asyncio.create_task(_drain(ours, self._limit))

    async def text(self) -> str:
        """What was written, up to the limit."""
        assert self._task is not None
        try:
            async with asyncio.timeout(KILL_SECONDS):
                return (await self._task).decode("utf-8", "replace")
        except TimeoutError:
            return ""

    def close(self) -> None:
        """Let go of what was not handed over."""
        for descriptor in (self._ours, self.theirs):
            if descriptor >= 0:
                os.close(descriptor)
        if self._task is not None:
            self._task.cancel()


async def _drain(descriptor: int, limit: int) -> bytes:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await streams.read_up_to(reader, limit, _FLOOD_BYTES)
    finally:
        transport.close()
