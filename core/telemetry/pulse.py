"""A worker's sign of life: when it last looked for work and at its runner."""

from __future__ import annotations

import time

from core.telemetry.metrics import LOOKED

STALE_SECONDS = 120.0
"""A worker that has not looked for so long is stuck: each look takes well under a second."""


class Pulse:
    """Beats with every look."""

    def __init__(self) -> None:
        self._beaten_at = time.monotonic()

    def beat(self) -> None:
        """The worker has looked."""
        self._beaten_at = time.monotonic()
        LOOKED.set_to_current_time()

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beaten_at

    @property
    def alive(self) -> bool:
        """Whether the last beat is recent."""
        return self.age < STALE_SECONDS
