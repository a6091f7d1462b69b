from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from anyio import CapacityLimiter

from api.files.intake import PIECE_BYTES, PIECES, take_in


async def stream_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def run(stream: AsyncIterator[bytes], work) -> object:
    async def inside() -> object:
        return await take_in(stream, work, limiter=CapacityLimiter(1))

    return asyncio.run(inside())


@pytest.mark.parametrize("size", [1, 1000, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES])
def test_all_bytes_arrive_in_order(size: int) -> None:
    content = bytes(range(256)) * (4 * PIECE_BYTES // 256)
    if size == 1:
        content = content[:5000]
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    assert run(stream_of(*chunks), b"".join) == content


def test_small_chunks_are_gathered() -> None:
    sizes = run(stream_of(*[b"x" * 100] * 5000), lambda pieces: [len(piece) for piece in pieces])
    assert min(sizes[:-1]) >= PIECE_BYTES


def test_what_the_stream_raises_is_raised_in_the_thread() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * PIECE_BYTES
        raise ConnectionResetError

    cleaned_up = []

    def work(pieces: Iterator[bytes]) -> None:
        try:
            list(pieces)
        except ConnectionResetError:
            cleaned_up.append(True)
            raise

    with pytest.raises(ConnectionResetError):
        run(broken(), work)
    assert cleaned_up == [True]


def test_work_that_ends_early_leaves_the_rest_unread() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * PIECE_BYTES

    assert run(endless(), lambda pieces: len(next(pieces))) == PIECE_BYTES
    assert read <= PIECES + 3


def test_a_slow_reader_makes_the_client_wait() -> None:
    read = 0
    seen: list[int] = []
    filled = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10 * PIECES):
            read += 1
            if read > PIECES:
                filled.set()
            yield b"x" * PIECE_BYTES

    def work(pieces: Iterator[bytes]) -> None:
        next(pieces)
        filled.wait(10)
        threading.Event().wait(0.05)  # in which more could come
        seen.append(read)

    run(endless(), work)
    assert seen[0] <= PIECES + 3
