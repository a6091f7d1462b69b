"""Runs chores beside a supervisor, each in a thread of its own: none waits for another, and no lease for any."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from time import monotonic

from core.errors import Unavailable
from core.telemetry.metrics import observed_chore
from worker.light.base import Chore

log = logging.getLogger("worker.light")

_STOP_SECONDS = 2.0
"""What all passes under way together may take once the end was asked for. Then they are cut off: chores bear that."""


class LightWork:
    """Runs chores from `start` to `stop`. A pass that fails is logged; the next one tries again."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(chore,), name=f"light-{chore.name}", daemon=True) for chore in chores
        ]

    def start(self) -> None:
        """Begin the first pass of every chore."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further pass, and wait a moment for those under way."""
        self._stopping.set()
        deadline = monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _repeat(self, chore: Chore) -> None:
        while not self._stopping.is_set():
            try:
                with observed_chore(chore.name):
                    chore.run()
            except Unavailable as error:
                log.warning("%s: %s", chore.name, error.message)
            except Exception:
                log.exception("%s failed; it is tried again in %g seconds", chore.name, chore.every)
            self._stopping.wait(chore.every)
