"""Requests counted in this process alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.limits.base import Rate
from core.limits.bucket import WINDOW_SECONDS, free, rate

MAX_BUCKETS = 20_000
"""Kept at a time. Beyond that the fullest are forgotten: whoever counts under many names gains what one name has."""


class LocalRates:
    """A bucket for each who is counted, in memory. Implements `core.limits.base.RateLimiter`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}

    async def take(self, who: str, limit: int) -> Rate:
        """Count one request."""
        return self.count(who, limit)

    def count(self, who: str, limit: int) -> Rate:
        """The same, for who does not wait."""
        now = self._clock()
        backlog = max(0.0, self._full_at.get(who, now) - now)
        if free(backlog, limit):
            if who not in self._full_at and len(self._full_at) >= MAX_BUCKETS:
                self._forget(now)
            self._full_at[who] = now + backlog + WINDOW_SECONDS / limit
        return rate(backlog, 0, limit)

    def close(self) -> None:
        """Nothing is held."""

    def _forget(self, now: float) -> None:
        """Make room: full buckets tell nothing, and where that is not enough, the half that is nearest to it goes."""
        waiting = sorted((full_at, who) for who, full_at in self._full_at.items() if full_at > now)
        self._full_at = {who: full_at for full_at, who in waiting[-(MAX_BUCKETS // 2) :]}
