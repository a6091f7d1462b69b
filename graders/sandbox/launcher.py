"""Starts one zygote with as little power as this machine allows, and ends it when standard input ends.

    python launcher.py NAMESPACES MEMORY_BYTES FILE_BYTES PYTHON ZYGOTE ARGUMENT...

Standalone, standard library only, never runs a user's code. NAMESPACES is 1 to ask for user, network, process-id and IPC
namespaces; where the kernel or a container refuses them the zygote runs without.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
from pathlib import Path

_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 256

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Isolate, start, watch."""
    namespaces, memory, file_size = (int(argument) for argument in sys.argv[1:4])
    if namespaces:
        _unshare()
    zygote = os.fork()
    if zygote == 0:
        _become(sys.argv[4:], memory, file_size)
    _watch(zygote)


def _unshare() -> None:
    """Own namespaces. The new process-id namespace holds the next child: it is that namespace's init, and all die with it."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWIPC) != 0:
        return
    # Without these maps the zygote sees itself as "nobody", which works as well.
    with contextlib.suppress(OSError):
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _become(argv: list[str], memory: int, file_size: int) -> None:
    """Turn this fork into the zygote. Does not return."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for kind, limit in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_FSIZE, file_size),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
            (resource.RLIMIT_CORE, 0),
        ):
            _lower(kind, limit)
        os.execv(argv[0], argv)  # noqa: S606
    finally:
        os._exit(127)


def _lower(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _watch(zygote: int) -> None:
    """Wait for the zygote's end, or end it when whoever holds our standard input lets go."""
    handle = os.pidfd_open(zygote)
    ready, _, _ = select.select([sys.stdin, handle], [], [])
    if handle not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(zygote, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(zygote, signal.SIGKILL)
    os.waitpid(zygote, 0)


if __name__ == "__main__":
    main()
