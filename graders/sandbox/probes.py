"""Tries every wall of the sandbox from inside: what a host really enforces, not what it says it has."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders.base import Program, SandboxReply
from graders.sandbox.client import Enforced, SandboxClient
from graders.sandbox.levels import Level

_MEMORY_BYTES = 256 << 20
_WALL_SECONDS = 3.0
_TOGETHER = 4
_MARK = "RFT_PROBE_OF_THE_ENVIRONMENT"


@dataclass(frozen=True)
class Probe:
    """One attempt to get through: the body of a function of `item`, which returns whether it did."""

    wall: str
    attempt: str
    """In words."""
    promised: Level
    """The weakest level that must hold against it."""
    body: str
    calls: int = 1
    """The last call's answer counts."""


@dataclass(frozen=True)
class Finding:
    """What became of an attempt."""

    wall: str
    attempt: str
    held: bool
    promised: bool
    """Whether the level that is in force promises it."""
    detail: str


def _probe(wall: str, attempt: str, promised: Level, *lines: str, calls: int = 1) -> Probe:
    return Probe(wall, attempt, promised, "\n    ".join(lines), calls)


def _system_call(attempt: str, number: str, arguments: str) -> Probe:
    call = f"ctypes.CDLL(None, use_errno=True).syscall({number}, {arguments})"
    # Refused for its arguments is not refused.
    return _probe("system calls", attempt, Level.PROCESS, f"return {call} >= 0 or ctypes.get_errno() not in (1, 38)")


def _libc(attempt: str, call: str) -> Probe:
    return _probe("system calls", attempt, Level.PROCESS, f"return ctypes.CDLL(None).{call} == 0")


PROBES = (
    _probe(
        "network", "connect to a TCP port of this machine", Level.PROCESS,
        "socket.create_connection(('127.0.0.1', item['port']))",
        "return True",
    ),
    _probe(
        "network", "send a UDP datagram", Level.PROCESS,
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', item['port']))",
        "return True",
    ),
    _probe(
        "network", "connect to an abstract unix socket", Level.PROCESS,
        "socket.socket(socket.AF_UNIX).connect('\\0' + item['name'])",
        "return True",
    ),
    _probe(
        "network", "connect to a unix socket in a directory", Level.PROCESS,
        "socket.socket(socket.AF_UNIX).connect(item['socket'])",
        "return True",
    ),
    _probe("files", "read a file of the service's user", Level.PROCESS, "return bool(open(item['secret']).read())"),
    _probe("files", "see that the file is there", Level.STRICT, "return os.path.exists(item['secret'])"),
    _probe("files", "list the root directory", Level.PROCESS, "return bool(os.listdir('/'))"),
    _probe(
        "files", "write outside the scratch directory", Level.PROCESS,
        "open(item['secret'] + '.new', 'w')",
        "return True",
    ),
    _probe("files", "change the mode of a file", Level.PROCESS, "os.chmod(item['secret'], 0o777)", "return True"),
    _probe("processes", "list the machine's processes", Level.PROCESS, "return str(item['pid']) in os.listdir('/proc')"),
    _probe("processes", "signal a process of the same user", Level.PROCESS, "os.kill(item['pid'], 0)", "return True"),
    _probe(
        "processes", "start 200 processes", Level.PROCESS,
        "return all(os.fork() or time.sleep(2) or os._exit(0) for _ in range(200))",
    ),
    _probe(
        "processes", "start 400 threads", Level.STRICT,
        "threading.stack_size(65536)",
        "for _ in range(400):",
        "    threading.Thread(target=time.sleep, args=(2,), daemon=True).start()",
        "return True",
    ),
    _probe("memory", "allocate twice the limit", Level.PROCESS, f"return len(bytearray({2 * _MEMORY_BYTES})) > 0"),
    _probe(
        "memory", "use twice the limit in four processes", Level.PROCESS,
        f"hold = lambda: (b'x' * {_MEMORY_BYTES // 2}, time.sleep(2), os._exit(0))",
        "children = [os.fork() or hold() for _ in range(4)]",
        "time.sleep(1)",
        "return all(os.waitpid(child, os.WNOHANG) == (0, 0) for child in children)",
    ),
    _probe(
        "disk", "reserve 1.5 GB in three files", Level.STRICT,
        "for n in range(3):",
        "    os.posix_fallocate(os.open(str(n), os.O_CREAT | os.O_RDWR), 0, 500 << 20)",
        "return True",
    ),
    _probe("disk", "make one file of 2 GB", Level.PROCESS, "open('large', 'wb').truncate(2 << 30)", "return True"),
    _probe(
        "disk", "make 20,000 files", Level.STRICT,
        "for n in range(20_000):",
        "    os.close(os.open(str(n), os.O_CREAT | os.O_WRONLY))",
        "return True",
    ),
    _probe(
        "descriptors", "open 1,000 files", Level.PROCESS,
        "kept = [os.open('/dev/null', 0) for _ in range(1000)]",
        "return True",
    ),
    _probe(
        "descriptors", "find one that the service left open", Level.NONE,
        "return sum(is_open(n) for n in range(3, 1024)) > 1",
    ),
    _probe("environment", "read a variable of the service", Level.NONE, f"return {_MARK!r} in os.environ"),
    _probe(
        "state", "find a file that an earlier call wrote", Level.PROCESS,
        "places = ['left', os.path.expanduser('~/../left'), item['secret'] + '.left', '/dev/shm/' + item['name']]",
        "found = any(map(os.path.exists, places))",
        "for place in places:",
        "    try: open(place, 'w')",
        "    except OSError: pass",
        "return found",
        calls=2,
    ),
    _probe(
        "state", "find what an earlier call left in shared memory", Level.PROCESS,
        "shared[0] += 1",
        "return shared[0] > 1",
        calls=2,
    ),
    _libc("trace a process", "ptrace(0, 0, 0, 0)"),
    _libc("make a user namespace", "unshare(0x10000000)"),
    _libc("mount a file system", "mount(b'none', os.getcwd().encode(), b'tmpfs', 0, None)"),
    _system_call("use io_uring", "425", "1, ctypes.create_string_buffer(256)"),
    _system_call("use the kernel's key rings", "{'x86_64': 250}.get(os.uname().machine, 219)", "0, -3, 1"),
    _system_call(
        "load a BPF program", "{'x86_64': 321}.get(os.uname().machine, 280)", "0, ctypes.create_string_buffer(128), 128"
    ),
    _probe("time", "go on after the time limit", Level.NONE, "while True: pass"),
)  # fmt: skip

_SOURCE = """
import ctypes, mmap, os, signal, socket, sys, threading, time
try:
    shared = mmap.mmap(-1, 4096)
except OSError:
    shared = None
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
def grade(sample, item):
    exec(sample["body"], globals())
    return attempt(item)
"""
"""The grader of all attempts, so that they share a warm zygote."""


def examine(
    python: str | None = None, *, minimum: str = Level.PROCESS, level: str | None = None
) -> tuple[Enforced, list[Finding]]:
    """Every probe at the level that `SandboxClient` gives for these arguments. Raises `SandboxUnavailable`."""
    with _targets() as item, _environment_mark():
        client = SandboxClient(
            python, _WALL_SECONDS, memory_bytes=_MEMORY_BYTES, minimum=minimum, level=level, parallel=_TOGETHER
        )
        try:
            enforced = client.enforced()
            with ThreadPoolExecutor(_TOGETHER) as pool:
                replies = list(pool.map(lambda probe: _run(client, probe, item), PROBES))
            findings = [_finding(probe, reply, enforced.level) for probe, reply in zip(PROBES, replies, strict=True)]
            return enforced, [*findings, _output(client)]
        finally:
            client.close()


def _run(client: SandboxClient, probe: Probe, item: dict[str, Any]) -> SandboxReply:
    # One after the other: each call's traces are there before the next.
    body = f"def attempt(item):\n    {probe.body}\n"
    replies = [client.run(_SOURCE, [({"body": body}, item)])[0] for _ in range(probe.calls)]
    return replies[-1]


def _finding(probe: Probe, reply: SandboxReply, level: Level) -> Finding:
    held = reply.value is not True
    detail = "it worked" if not held else (reply.error or "nothing found").rpartition("\n")[2]
    return Finding(probe.wall, probe.attempt, held, level.rank >= probe.promised.rank, detail)


def _output(client: SandboxClient) -> Finding:
    [result] = client.execute([Program("while True: print('x' * 1000)", seconds=_WALL_SECONDS, output_bytes=1000)])
    size = len(result.stdout) + len(result.stderr)
    return Finding("output", "print without end", size <= 2000, True, f"{size} bytes came through")


@contextlib.contextmanager
def _targets() -> Iterator[dict[str, Any]]:
    """What the probes reach for, all of it this user's and within reach for any other process of this user."""
    name = secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rft-probe-")))
        secret = directory / "secret"
        secret.write_text("a file of the service")
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        stack.callback(Path(f"/dev/shm/{name}").unlink, missing_ok=True)  # noqa: S108 - a probe may leave it
        for address in ("\0" + name, str(directory / "socket")):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        sleeper = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(sleeper.kill)
        yield {"secret": str(secret), "port": port, "name": name, "socket": str(directory / "socket"), "pid": sleeper.pid}


@contextlib.contextmanager
def _environment_mark() -> Iterator[None]:
    os.environ[_MARK] = "1"
    try:
        yield
    finally:
        del os.environ[_MARK]
