"""A bell that one thread waits for and any other rings."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Bell:
    """Wakes the one thread that waits. Unlike `threading.Event` it may be rung by a signal handler of the waiting thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def ring(self) -> None:
        """End the wait under way, or the next one."""
        with suppress(BlockingIOError):  # full: rung often enough
            os.write(self._write, b"\0")

    def wait(self, seconds: float | None) -> bool:
        """Until it is rung, and at most so long where that is no None; whether it was."""
        rung = bool(select.select([self._read], [], [], seconds)[0])
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass
        return rung
