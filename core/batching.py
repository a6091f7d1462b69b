"""Look-ups of many requests at once: what arrives while one query is under way shares the next.

A thread of its own for each of 64 concurrent requests makes an interpreter switch threads rather than work. Here one thread
answers all that wait with one call, so the cost of a look-up falls as the load rises, and nothing is ever cached: every answer
was read after its request came in.
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
    """Asks `load` for the values of all keys that wait. Its methods belong to one event loop, `load` runs in its own thread.

    `load` answers with a value for every key that has one; a value that is an exception is raised to those who asked for the key.
    """

    def __init__(self, load: Callable[[Sequence[K]], Mapping[K, V | Exception]], name: str) -> None:
        self._load = load
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._busy = False

    async def get(self, key: K) -> V | None:
        """The key's value, None where it has none; raises what `load` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._busy:
            self._busy = True
            # Not at once: requests that this turn of the loop has yet to read come along.
            loop.call_soon(self._start)
        return await future

    def close(self) -> None:
        """End the thread once it has nothing left to do."""
        self._thread.shutdown()

    def _start(self) -> None:
        keys = list(self._waiting)[:MAX_KEYS]
        batch = {key: self._waiting.pop(key) for key in keys}
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._load, keys)
        done.add_done_callback(lambda finished: self._finish(batch, finished))

    def _finish(
        self, batch: Mapping[K, list[asyncio.Future[V | None]]], finished: asyncio.Future[Mapping[K, V | Exception]]
    ) -> None:
        error = finished.exception()
        values = {} if error is not None else finished.result()
        for key, futures in batch.items():
            _settle(futures, error or values.get(key))
        if self._waiting:
            self._start()
        else:
            self._busy = False


def _settle(futures: Sequence[asyncio.Future[V | None]], outcome: V | BaseException | None) -> None:
    for future in futures:
        if future.done():  # its request was cancelled
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
