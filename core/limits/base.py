"""The values of limits, and the seam of what counts requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.settings import Settings


@dataclass(frozen=True)
class Limits:
    """Of one project; None is no limit (`requests_per_minute` has always one, for replies tell what is left of it)."""

    requests_per_minute: int
    max_running_jobs: int | None
    max_waiting_jobs: int | None
    """Created jobs that no worker has yet: their files are being checked, or they are queued."""
    max_stored_bytes: int | None

    @classmethod
    def default(cls, settings: Settings) -> Limits:
        """Those of a project without any of its own."""
        return cls(
            requests_per_minute=settings.requests_per_minute,
            max_running_jobs=settings.max_running_jobs,
            max_waiting_jobs=settings.max_waiting_jobs,
            max_stored_bytes=settings.max_stored_bytes,
        )


NO_LIMITS = Limits(requests_per_minute=10_000_000, max_running_jobs=None, max_waiting_jobs=None, max_stored_bytes=None)
"""For stores outside of a served API: a project's own limits hold all the same."""


@dataclass(frozen=True)
class Rate:
    """What one request found: seconds are from now."""

    limit: int
    """Requests a minute."""
    remaining: int
    reset_seconds: float
    """Until the whole limit is there again."""
    retry_seconds: float | None = None
    """Where the request is refused: until the next one may pass."""


class RateLimiter(Protocol):
    """Counts the requests of projects, and of client addresses without a good key (`address:...`)."""

    async def take(self, who: str, limit: int) -> Rate:
        """Count one request of one who may make `limit` a minute. Never fails: what cannot be counted passes."""

    def close(self) -> None:
        """Let go of threads and connections."""
