"""Builds the walls around one zygote, and ends it when standard input ends.

    python -m graders.sandbox.launcher CONFIG

Standard library only, never runs a user's code. A wall that the kernel refuses is one line of JSON on standard output,
{"refused": why}, and exit code 1: nothing runs with less than was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from graders.sandbox import kernel
from graders.sandbox.config import Config
from graders.sandbox.keeper import Identity, keep
from graders.sandbox.levels import Level
from graders.sandbox.proctable import ProcessTable, descendants

_NAMESPACES = (
    kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)  # fmt: skip
_NOBODY = 65534
_KILL_SECONDS = 2.0


def main() -> None:
    """Isolate, start, watch."""
    config = Config.from_argument(sys.argv[1])
    os.umask(0o022)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = Identity(os.getuid(), os.getgid())
    try:
        if config.level is Level.STRICT:
            identity = _isolate()
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    except OSError as error:
        _refuse(error)
    keeper = os.fork()
    if keeper == 0:
        try:
            keep(config, identity, proc)
        except OSError as error:
            _refuse(error)
        finally:
            os._exit(1)
    os.close(config.control)
    os.close(config.load)
    os.close(1)
    _watch(keeper)
    if config.level is not Level.STRICT:
        _end_all(ProcessTable(proc))


def _refuse(error: OSError) -> NoReturn:
    os.write(1, (json.dumps({"refused": str(error)}) + "\n").encode())
    os._exit(1)


def _isolate() -> Identity:
    """Own namespaces. The next child is the init of the new process ids, and all die with it."""
    root = os.getuid() == 0
    # Root's own files stay out of reach by way of another user; limits on processes count for it, too.
    identity = Identity(_NOBODY, _NOBODY) if root else Identity(os.getuid(), os.getgid())
    users = f"0 0 1\n{_NOBODY} {_NOBODY} 1\n" if root else f"{identity.uid} {identity.uid} 1\n"
    groups = f"0 0 1\n{_NOBODY} {_NOBODY} 1\n" if root else f"{identity.gid} {identity.gid} 1\n"
    with _outside(lambda: _map_ids(os.getppid(), users, groups, deny_setgroups=not root)):
        kernel.unshare(_NAMESPACES)
    return identity


@contextlib.contextmanager
def _outside(work: Callable[[], None]) -> Iterator[None]:
    """Do this, then have a process that has not done it do `work`. Raises `OSError` if that fails."""
    go, start = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(start)
            os.read(go, 1)
            work()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
    os.close(go)
    try:
        yield
    finally:
        os.close(start)
        status = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    if status:
        raise OSError(abs(status), f"mapping of user ids: {os.strerror(abs(status))}")


def _map_ids(pid: int, users: str, groups: str, *, deny_setgroups: bool) -> None:
    if deny_setgroups:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", users)
    _write(f"/proc/{pid}/gid_map", groups)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _watch(keeper: int) -> None:
    """Wait for the keeper's end, or end it when whoever holds our standard input lets go."""
    handle = os.pidfd_open(keeper)
    ready, _, _ = select.select([sys.stdin, handle], [], [])
    if handle not in ready and not select.select([handle], [], [], _KILL_SECONDS)[0]:
        os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)


def _end_all(table: ProcessTable) -> None:
    """Without a namespace that ends as one: end what is left below us until nothing is."""
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        for pid in descendants(table.read(), table.own_pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
