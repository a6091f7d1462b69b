"""The arithmetic of a token bucket as one number, the "generic cell rate algorithm" (ITU-T I.371; without its jitter terms).

A bucket holds a minute's requests and fills evenly. Its number is the moment at which it will be full: the distance to that
moment is the `backlog`, every request moves it by `60 / limit` seconds, and one that would move it past a minute is refused.
A refused request costs nothing, so a client that waits as it is told always gets through.
"""

from __future__ import annotations

from core.limits.base import Rate

WINDOW_SECONDS = 60.0
_ROUNDING = 1e-6


def free(backlog: float, limit: int) -> int:
    """How many requests fit beside the backlog."""
    return max(0, int((WINDOW_SECONDS - backlog) * limit / WINDOW_SECONDS + _ROUNDING))


def rate(before: float, position: int, limit: int) -> Rate:
    """What the request at `position` (from 0) of those that came together finds, where `before` is the backlog they came to."""
    fit = free(before, limit)
    interval = WINDOW_SECONDS / limit
    if position < fit:
        return Rate(limit, fit - position - 1, before + (position + 1) * interval)
    backlog = before + fit * interval
    return Rate(limit, 0, backlog, retry_seconds=max(0.0, backlog + interval - WINDOW_SECONDS))
