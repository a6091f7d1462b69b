"""Frames: a length of four bytes, big-endian, then that many bytes of JSON. Standard library only."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

HEADER = struct.Struct(">I")
MAX_BYTES = 1 << 30
"""A whole batch of calls must fit."""


class BrokenFrame(Exception):
    """The bytes are not a frame, or the stream ended inside one."""


def pack(message: Any) -> bytes:
    """One frame. Raises `BrokenFrame` for a message over the limit."""
    body = json.dumps(message).encode()
    if len(body) > MAX_BYTES:
        raise BrokenFrame("the message is larger than 1 GiB")
    return HEADER.pack(len(body)) + body


async def read(reader: asyncio.StreamReader, limit: int = MAX_BYTES) -> Any:
    """The next message, or None at the end of the stream. Raises `BrokenFrame`."""
    try:
        size = _size(await reader.readexactly(HEADER.size), limit)
        return _load(await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        if error.expected == HEADER.size and not error.partial:
            return None
        raise BrokenFrame("the stream ended inside a frame") from None


def receive(connection: socket.socket, limit: int = MAX_BYTES) -> Any:
    """The next message from a blocking socket. Raises `BrokenFrame`, also where the stream has ended."""
    return _load(_receive_exactly(connection, _size(_receive_exactly(connection, HEADER.size), limit)))


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise BrokenFrame("the stream ended inside a frame")
        data += piece
    return bytes(data)


def _size(header: bytes, limit: int) -> int:
    size = int(HEADER.unpack(header)[0])
    if size > limit:
        raise BrokenFrame(f"a frame of {size} bytes is over the limit of {limit}")
    return size


def _load(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenFrame("a frame does not hold JSON") from None
