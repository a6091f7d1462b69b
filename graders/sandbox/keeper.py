"""Stands between the grader process and one zygote: gives each call its scratch directory and watches over its memory.

Where there are namespaces this is the init of the zygote's. Standard library only, never runs a user's code.

Control channel, from the grader process (one JSON message a packet): {"call": number} with the call's descriptors attached, which
go on to the zygote; {"kill": number}; {"end": number}, after which the call's scratch is gone; {"loaded": true}. On standard
output we answer {"loaded"} with "alone" or "company" (the source has left threads or processes running), and say
"memory PID" when a call was ended for its use of memory; PID is what the zygote calls it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import Any

from graders.sandbox import boot, kernel, landlock, seccomp, view
from graders.sandbox.config import Config
from graders.sandbox.levels import Level
from graders.sandbox.proctable import Process, ProcessTable, descendants

_PACKET = 4096
_DESCRIPTORS = 3
_TICK_SECONDS = 0.025
_LOADING_DISK = 64 << 20


@dataclass(frozen=True)
class Identity:
    """The user that runs the zygote."""

    uid: int
    gid: int


def keep(config: Config, identity: Identity, proc: int) -> None:
    """Start the zygote and serve until it or the control channel ends."""
    if config.level is Level.STRICT:
        proc = view.enter(config.paths, config.scratch, identity.uid, identity.gid) or proc
    else:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    scratch = Scratch(config, identity)
    load_scratch = scratch.make(0)
    inner, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote = os.fork()
    if zygote == 0:
        _become_zygote(config, identity, theirs.fileno(), load_scratch)
    theirs.close()
    os.close(config.load)
    _Keeper(config, scratch, socket.socket(fileno=config.control), inner, zygote, ProcessTable(proc)).serve()


class Scratch:
    """The scratch directories of calls, by number; 0 is for loading the source."""

    def __init__(self, config: Config, identity: Identity) -> None:
        self._mounts = config.level is Level.STRICT
        self._identity = identity
        self._config = config
        self.root = view.SCRATCH if self._mounts else config.scratch

    def make(self, number: int) -> str:
        """An empty directory. Raises `OSError`."""
        directory = f"{self.root}/{number}"
        if self._mounts:
            # That of loading lasts as long as the zygote, and it is memory.
            size = self._config.disk_bytes if number else min(self._config.disk_bytes, _LOADING_DISK)
            view.mount_scratch(directory, size, self._config.disk_files, self._identity.uid, self._identity.gid)
        else:
            os.mkdir(directory, 0o700)
        return directory

    def remove(self, number: int) -> None:
        """With all that is in it."""
        directory = f"{self.root}/{number}"
        if self._mounts:
            kernel.unmount(directory)
            os.rmdir(directory)
            return
        try:
            os.rmdir(directory)
        except OSError:
            # What a call has left, however deep or large, is a separate program's work.
            rm = shutil.which("rm") or "/bin/rm"
            subprocess.Popen([rm, "-rf", "--", directory], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class _Keeper:
    def __init__(
        self, config: Config, scratch: Scratch, control: socket.socket, inner: socket.socket, zygote: int, table: ProcessTable
    ) -> None:
        self._config = config
        self._scratch = scratch
        self._control = control
        self._inner = inner
        self._zygote = zygote
        self._table = table
        self._calls: set[int] = set()

    def serve(self) -> None:
        """Until the zygote or the control channel ends."""
        handle = os.pidfd_open(self._zygote)
        while True:
            waited: list[Any] = [self._control, handle]
            ready: list[Any] = select.select(waited, [], [], _TICK_SECONDS if self._calls else None)[0]
            if handle in ready:
                return
            if self._control in ready:
                if not self._obey():
                    return
            elif self._calls:
                self._watch_memory()
            self._reap()

    def _obey(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._control, _PACKET, _DESCRIPTORS)
        if not packet:
            return False
        message = json.loads(packet)
        if "call" in message:
            self._begin(message["call"], descriptors)
        elif "end" in message:
            self._calls.discard(message["end"])
            self._scratch.remove(message["end"])
        elif "kill" in message:
            self._inner.send(packet)
        else:
            self._say("alone" if self._alone() else "company")
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _begin(self, number: int, descriptors: list[int]) -> None:
        self._calls.add(number)
        scratch = self._scratch.make(number)
        with contextlib.suppress(OSError):  # A zygote that has just ended; the next turn sees it.
            socket.send_fds(self._inner, [json.dumps({"call": number, "scratch": scratch}).encode()], descriptors)

    def _alone(self) -> bool:
        """Whether there is nothing but the zygote with one thread."""
        table = self._table.read()
        below = descendants(table, self._table.own_pid)
        return len(below) == 1 and table[below[0]].threads == 1

    def _watch_memory(self) -> None:
        """End every call that uses more than it may, all its processes taken together."""
        table = self._table.read()
        for zygote in descendants(table, self._table.own_pid):
            if table[zygote].parent == self._table.own_pid:
                for call in [pid for pid, process in table.items() if process.parent == zygote]:
                    if self._memory_bytes(table, [call, *descendants(table, call)]) > self._config.memory_bytes:
                        self._end_call(call)

    def _memory_bytes(self, table: dict[int, Process], pids: list[int]) -> int:
        rough = sum(table[pid].resident_bytes for pid in pids)
        if rough <= self._config.memory_bytes:
            return rough
        return sum(self._table.memory_bytes(pid) for pid in pids)

    def _end_call(self, pid: int) -> None:
        here = self._table.as_seen_here(pid)
        if here is not None and self._config.level is not Level.NONE:
            self._say(f"memory {here}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(here, signal.SIGKILL)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(1, f"{text}\n".encode())

    def _reap(self) -> None:
        """We inherit what others leave behind. The zygote is left to be seen by its handle."""
        with contextlib.suppress(ChildProcessError):
            while True:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid == self._zygote:
                    return
                os.waitpid(found.si_pid, 0)


def _become_zygote(config: Config, identity: Identity, inner: int, scratch: str) -> None:
    """Turn this fork into the zygote. Raises `OSError` for a wall that the kernel refuses."""
    os.setsid()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(scratch)
    command = [config.executable, "-s", "-P", boot.__file__, str(inner), config.to_argument()]
    environment = {**os.environ, "HOME": scratch, "TMPDIR": scratch}
    environment.pop("PYTHONPATH", None)
    null = os.open(os.devnull, os.O_RDWR)
    if config.level is not Level.NONE:
        _lower_limits(config)
        if config.level is Level.STRICT:
            _become_user(identity)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        _wall_in(config)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _keep_open(inner, config.load)
    os.execve(config.executable, command, environment)  # noqa: S606


def _keep_open(*descriptors: int) -> None:
    """Close all others but the standard streams."""
    last = 2
    for descriptor in sorted(descriptors):
        os.set_inheritable(descriptor, True)
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, 1 << 20)


def _become_user(identity: Identity) -> None:
    """For good, and without capabilities."""
    kernel.drop_bounding_set()
    if os.getuid() != identity.uid:
        os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    kernel.drop_capabilities()


def _wall_in(config: Config) -> None:
    if config.level is Level.PROCESS and landlock.version() < landlock.SIGNALS_SINCE:
        raise OSError(errno.ENOSYS, "Landlock does not scope signals (Linux 6.12 does)")
    rules = landlock.Ruleset()
    for rule in rules.of_code(config.paths, view.DEVICES):
        rules.add(rule)
    rules.add(rules.rule(view.SCRATCH if config.level is Level.STRICT else config.scratch, rules.scratch))
    rules.enforce()
    kernel.install_filter(seccomp.zygote_filter(namespaces=config.level is Level.STRICT))


def _lower_limits(config: Config) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, config.memory_bytes),
        (resource.RLIMIT_FSIZE, config.disk_bytes),
        (resource.RLIMIT_NOFILE, config.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _lower(kind, limit)
    if config.level is Level.STRICT:
        # Counts within the namespace. The machine's count, which is of all the user's processes, is no limit to rely on.
        _lower(resource.RLIMIT_NPROC, config.parallel * config.processes + config.processes)


def _lower(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))
