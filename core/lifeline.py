"""What holds a child process to its owner: its standard input is a socket, or a pipe, whose other end only the owner holds open.

The child ends with its owner, however the owner ended. Over a socket it also tells that its work goes on, so that the owner can
tell a child that is busy from one that hangs.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from contextlib import suppress
from functools import cache
from time import monotonic

OWNER_GONE = 70
"""Exit status of a process whose owner is gone."""

_START_SECONDS = 1800.0
"""What a child may take to its first sign at least: models are large and disks may be slow."""
_MARK_SECONDS = 0.2
"""Signs that follow closer on each other are not sent."""


class Lifeline:
    """The owner's end. `of_child` is the standard input of the child to be; after `started` only the child holds it."""

    def __init__(self, patience: float) -> None:
        """`patience` is how many seconds may pass between two signs of progress."""
        self.patience = patience
        self.of_child, self._ours = socket.socketpair()
        self._ours.setblocking(False)
        self._due_by = monotonic() + max(patience, _START_SECONDS)

    def started(self) -> None:
        """The child exists."""
        self.of_child.close()

    def stalled(self) -> bool:
        """Whether the child has shown no progress for too long."""
        while self._read():
            self._due_by = monotonic() + self.patience
        return monotonic() > self._due_by

    def close(self) -> None:
        """Let the child go, if it lives."""
        self._ours.close()

    def _read(self) -> bytes:
        with suppress(BlockingIOError, ConnectionResetError):
            return self._ours.recv(4096)
        return b""


def exit_with_owner() -> None:
    """Watch standard input from a thread; at its end the process exits at once, in the middle of whatever it does."""

    def watch() -> None:
        # A socket is reset, and not ended, where its owner dies with signs that it had not read.
        with suppress(ConnectionResetError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        os._exit(OWNER_GONE)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def mark_progress() -> None:
    """Tell the owner that work goes on. Cheap enough for every token; does nothing where no owner listens."""
    line = _line()
    if line is not None:
        line.mark()


class _Line:
    """The child's end."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._marked_at = -_MARK_SECONDS

    def mark(self) -> None:
        now = monotonic()
        if now - self._marked_at >= _MARK_SECONDS:
            self._marked_at = now
            # An owner that does not read has signs enough; one that is gone is the watching thread's business.
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                self._line.send(b".", socket.MSG_DONTWAIT)


@cache
def _line() -> _Line | None:
    with suppress(OSError):  # closed
        if stat.S_ISSOCK(os.fstat(0).st_mode):
            return _Line(socket.socket(fileno=os.dup(0)))
    return None
