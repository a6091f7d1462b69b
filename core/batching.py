"""Look-ups of many requests at once: what arrives while a few queries are under way shares the next.

A thread of its own for each of 64 concurrent requests makes an interpreter switch threads rather than work. Here one call
answers all that wait, so the cost of a look-up falls as the load rises, and nothing is ever cached: every answer was read after
its request came in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_KEYS = 200
"""Of one call: bounds a query's size, and how long one batch can hold up the next."""


class Batched(Generic[K, V]):
    """Asks `load` for the values of all keys that wait. Its methods belong to one event loop.

    `load` runs in one of a few `threads`; with none on the event loop itself, which is for what never waits (for a network, for a
    lock) and takes less time than waking a thread. It answers with a value for every key that has one; a value that is an
    exception is raised to those who asked for the key.
    """

    def __init__(self, load: Callable[[Sequence[K]], Mapping[K, V | Exception]], *, threads: int = 0) -> None:
        self._load = load
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="look-up") if threads else None
        self._most_running = max(1, threads)
        self._running = 0
        self._starting = False
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}

    async def get(self, key: K) -> V | None:
        """The key's value, None where it has none; raises what `load` raises."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        self._start_soon()
        return await future

    def close(self) -> None:
        """End the threads once they have nothing left to do."""
        if self._threads is not None:
            self._threads.shutdown()

    def _start_soon(self) -> None:
        """Not at once: requests that this turn of the loop has yet to read come along."""
        if self._waiting and not self._starting and self._running < self._most_running:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._starting = False
        self._running += 1
        keys = list(self._waiting)[:MAX_KEYS]
        batch = {key: self._waiting.pop(key) for key in keys}
        loop = asyncio.get_running_loop()
        if self._threads is None:
            done = loop.create_future()
            try:
                done.set_result(self._load(keys))
            # As a thread does: what `load` raises is for those who asked, not for the event loop.
            except Exception as error:  # noqa: BLE001
                done.set_exception(error)
            self._finish(batch, done)
        else:
            done = loop.run_in_executor(self._threads, self._load, keys)
            done.add_done_callback(lambda finished: self._finish(batch, finished))

    def _finish(
        self, batch: Mapping[K, list[asyncio.Future[V | None]]], finished: asyncio.Future[Mapping[K, V | Exception]]
    ) -> None:
        self._running -= 1
        error = finished.exception()
        values = {} if error is not None else finished.result()
        for key, futures in batch.items():
            _settle(futures, error or values.get(key))
        self._start_soon()


def _settle(futures: Sequence[asyncio.Future[V | None]], outcome: V | BaseException | None) -> None:
    for future in futures:
        if future.done():  # its request was cancelled
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
