"""Requests counted in this process alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.limits.base import Rate
from core.limits.bucket import WINDOW_SECONDS, free, rate


class LocalRates:
    """A bucket a project, in memory. Implements `core.limits.base.RateLimiter`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}

    async def take(self, project_id: str, limit: int) -> Rate:
        """Count one request."""
        return self.count(project_id, limit)

    def count(self, project_id: str, limit: int) -> Rate:
        """The same, for who does not wait."""
        now = self._clock()
        backlog = max(0.0, self._full_at.get(project_id, now) - now)
        if free(backlog, limit):
            self._full_at[project_id] = now + backlog + WINDOW_SECONDS / limit
        return rate(backlog, 0, limit)

    def close(self) -> None:
        """Nothing is held."""
