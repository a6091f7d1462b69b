"""Whose call is next, where more wait than may run."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Turns:
    """At most `parallel` calls at a time. Belongs to one event loop.

    Tenants take turns, and so do the batches of one: nobody waits for the end of another's long batch.
    """

    def __init__(self, parallel: int) -> None:
        self._parallel = self._free = parallel
        self._begun = 0
        self._waiting: dict[str, dict[int, deque[asyncio.Future[None]]]] = {}
        """By tenant, then by batch; who is first in each is next."""

    @property
    def figures(self) -> dict[str, int]:
        """How many calls may run, run and wait, and how many have begun so far."""
        waiting = sum(len(calls) for batches in self._waiting.values() for calls in batches.values())
        running = self._parallel - self._free
        return {"parallel": self._parallel, "running": running, "waiting": waiting, "calls_total": self._begun}

    @contextlib.asynccontextmanager
    async def turn(self, tenant: str, batch: int) -> AsyncIterator[None]:
        """One call of a batch: begins when it is its turn."""
        await self._begin(tenant, batch)
        self._begun += 1
        try:
            yield
        finally:
            self._end()

    async def _begin(self, tenant: str, batch: int) -> None:
        if self._free:
            self._free -= 1
            return
        called = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, {}).setdefault(batch, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # called and cancelled at the same moment
                self._end()
            raise

    def _end(self) -> None:
        while self._waiting:
            called = self._next()
            if not called.done():
                called.set_result(None)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None]:
        """Take the next one off the list; its batch and its tenant go to the end of theirs."""
        tenant = next(iter(self._waiting))
        batches = self._waiting.pop(tenant)
        batch = next(iter(batches))
        calls = batches.pop(batch)
        called = calls.popleft()
        if calls:
            batches[batch] = calls
        if batches:
            self._waiting[tenant] = batches
        return called
