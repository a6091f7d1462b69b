"""A runner that is asked to end: it goes on to the next border between sampling batches, where nothing of its work is lost."""

from __future__ import annotations

import signal
import threading


class Leaving:
    """Whether this process was asked to end, by SIGTERM; perhaps twice: service managers signal every process of a service."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def listen(self) -> None:
        """Hear SIGTERM from now on; for the main thread alone."""
        signal.signal(signal.SIGTERM, lambda *_: self._asked.set())

    def asked(self) -> bool:
        """Whether SIGTERM has come."""
        return self._asked.is_set()
