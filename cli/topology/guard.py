"""Runs a program that must not outlive whoever holds our standard input.

    python guard.py [--user ID] SIGNAL PROGRAM [ARGUMENT ...]

At the end of standard input, and when it is told to end itself, it sends the program SIGNAL (a name, such as TERM), and kills it
with its process group where it has not ended after a while. Ends when the program does, with its status. With `--user`, root runs
the program as another. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

_GRACE_SECONDS = 20.0


def main() -> int:
    """Run the program; returns the exit status."""
    arguments = sys.argv[1:]
    user = None
    if arguments[0] == "--user":
        user, arguments = int(arguments[1]), arguments[2:]
    polite = signal.Signals[f"SIG{arguments[0]}"]
    told, tell = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(tell, b"\0"))
    # A session of its own: a Ctrl-C at the terminal is for the owner, who ends things in order.
    program = subprocess.Popen(arguments[1:], stdin=subprocess.DEVNULL, start_new_session=True, user=user, group=user)
    ended = os.pidfd_open(program.pid)
    ready = select.select([sys.stdin, told, ended], [], [])[0]
    if ended not in ready:
        program.send_signal(polite)
        if not select.select([ended], [], [], _GRACE_SECONDS)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    status = program.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
