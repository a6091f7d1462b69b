"""A child process ends with its owner, however the owner ended: its standard input is a pipe that only the owner holds open."""

from __future__ import annotations

import os
import sys
import threading

OWNER_GONE = 70
"""Exit status of a process whose owner is gone."""


def exit_with_owner() -> None:
    """Watch standard input from a thread; at its end the process exits at once, in the middle of whatever it does."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(OWNER_GONE)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
