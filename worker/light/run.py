"""Runs chores, each in a thread of its own: none waits for another, and no supervisor's lease for any."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from core.errors import Unavailable
from core.telemetry.metrics import observed_chore
from worker.light.base import Chore

log = logging.getLogger("worker.light")

_STOP_SECONDS = 2.0
"""What all passes under way together may take once the end was asked for. Then they are cut off: chores bear that."""


class LightWork:
    """Runs chores from `start` to `stop`. A pass that fails is logged; the next one tries again.

    `pause` tells the seconds between two passes of a chore that nobody asks for in between; `passed` is called after each pass,
    from any of the threads.
    """

    def __init__(
        self,
        chores: Sequence[Chore],
        *,
        pause: Callable[[Chore], float] = lambda chore: chore.every,
        passed: Callable[[], None] = lambda: None,
    ) -> None:
        self._pause = pause
        self._passed = passed
        self._stopping = False
        self._asked = {chore.name: threading.Event() for chore in chores}
        self._threads = [
            threading.Thread(target=self._repeat, args=(chore,), name=f"light-{chore.name}", daemon=True) for chore in chores
        ]

    def start(self) -> None:
        """Begin the first pass of every chore."""
        for thread in self._threads:
            thread.start()

    def ask(self, name: str) -> None:
        """Begin a pass of a chore now, or once the one under way has ended. There may be no such chore any more."""
        if name in self._asked:
            self._asked[name].set()

    def stop(self) -> None:
        """Begin no further pass, and wait a moment for those under way."""
        self._stopping = True
        for asked in self._asked.values():
            asked.set()
        deadline = monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _repeat(self, chore: Chore) -> None:
        asked = self._asked[chore.name]
        while not self._stopping:
            try:
                with observed_chore(chore.name):
                    chore.run()
            except Unavailable as error:
                log.warning("%s: %s", chore.name, error.message)
            except Exception:
                log.exception("%s failed; it is tried again in %g seconds", chore.name, self._pause(chore))
            self._passed()
            asked.wait(self._pause(chore))
            asked.clear()
