from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.sandbox import frames, streams

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


async def read(data: bytes, limit: int = frames.MAX_BYTES) -> Any:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await streams.read(reader, limit)


@given(JSON)
def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(frames.pack(message))
        assert frames.receive(theirs) == message


@given(JSON)
def test_a_stream_gives_the_same_message(message: Any) -> None:
    assert asyncio.run(read(frames.pack(message))) == message


def test_lone_surrogates_survive() -> None:
    assert asyncio.run(read(frames.pack("\ud800"))) == "\ud800"


def test_an_ended_stream_has_no_message() -> None:
    assert asyncio.run(read(b"")) is None


@pytest.mark.parametrize(
    "data", [b"\0", b"\0\0\0\5", b"\0\0\0\5{}", b"\0\0\0\1{", b"\0\0\0\1\xff", b"\0\1\x86\xa0" + b"[" * 100_000]
)
def test_anything_else_is_a_broken_frame(data: bytes) -> None:
    with pytest.raises(frames.BrokenFrame):
        asyncio.run(read(data))


def test_a_frame_over_the_limit_is_not_read() -> None:
    with pytest.raises(frames.BrokenFrame, match="over the limit"):
        asyncio.run(read(frames.pack("x" * 100), limit=50))


def test_a_connection_that_ends_is_a_broken_frame() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        with pytest.raises(frames.BrokenFrame):
            frames.receive(theirs)
