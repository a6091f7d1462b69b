"""A runner that is asked to end: it goes on to the next border between sampling batches, where nothing of its work is lost."""

from __future__ import annotations

import signal
import threading


class Leaving:
    """Whether this process was asked to end. The first SIGTERM asks, a second one ends it at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def listen(self) -> None:
        """Hear SIGTERM from now on; for the main thread alone."""
        signal.signal(signal.SIGTERM, lambda *_: self._ask())

    def asked(self) -> bool:
        """Whether SIGTERM has come."""
        return self._asked.is_set()

    def _ask(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._asked.set()
