"""Frames: a length of four bytes, big-endian, then that many bytes of JSON. Standard library only."""

from __future__ import annotations

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


def send(connection: socket.socket, message: Any) -> None:
    """One frame on a socket."""
    connection.sendall(pack(message))


def receive(connection: socket.socket, limit: int = MAX_BYTES) -> Any:
    """The next message from a blocking socket. Raises `BrokenFrame`, also where the stream has ended."""
    return load(_receive_exactly(connection, size_of(_receive_exactly(connection, HEADER.size), limit)))


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise BrokenFrame("the stream ended inside a frame")
        data += piece
    return bytes(data)


def size_of(header: bytes, limit: int) -> int:
    """The length that a header announces. Raises `BrokenFrame`."""
    size = int(HEADER.unpack(header)[0])
    if size > limit:
        raise BrokenFrame(f"a frame of {size} bytes is over the limit of {limit}")
    return size


def load(body: bytes) -> Any:
    """The message in a frame's body. Raises `BrokenFrame`."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenFrame("a frame does not hold JSON") from None
