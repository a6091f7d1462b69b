"""The child side of the sandbox: loads one grader's source, then forks once for each call, so that no call sees another's traces.

    python zygote.py CONTROL_FD LOAD_FD CPU_SECONDS

Standalone and standard library only, because it runs under whatever interpreter the operator names. Everything here shares a
process with hostile code: the server believes nothing it says beyond the shape of a frame.

Load channel (stream): we send {"started": true}, receive {"source"}, send {"ready": true} or {"error": text}.
Control channel (one JSON message a packet): {"call": number} with a descriptor attached, {"kill": number}.
Call channel (the descriptor, stream): the forked child receives {"sample", "item"} and sends {"value"} or {"error"}. When the
child is gone this process adds {"status": code}: the only frame of a child that died without an answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import linecache
import numbers
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_HEADER = struct.Struct(">I")
_PR_SET_PDEATHSIG = 1
_FILE = "grader.py"
_ERROR_CHARACTERS = 2000
_PACKET = 4096

_libc = ctypes.CDLL(None)

Grade = Callable[[Any, Any], Any]


def main() -> None:
    """Load, then serve calls until the control channel closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    load = socket.socket(fileno=int(sys.argv[2]))
    cpu_seconds = int(sys.argv[3])
    _send(load, {"started": True})
    source = _receive(load)["source"]
    try:
        grade = load_grader(source)
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the user's is an error like others
        _send(load, {"error": error_text(error)})
        return
    _send(load, {"ready": True})
    load.close()
    Calls(control, grade, cpu_seconds).serve()


def load_grader(source: str) -> Grade:
    """Execute the source as a module named `grader` and return its `grade`. Raises whatever the source raises."""
    module = types.ModuleType("grader")
    module.__file__ = _FILE
    sys.modules["grader"] = module
    # Tracebacks and inspect.getsource find the text here.
    linecache.cache[_FILE] = (len(source), None, source.splitlines(keepends=True), _FILE)
    random.seed(0)
    exec(compile(source, _FILE, "exec"), module.__dict__)  # noqa: S102 - this is what the process is for
    grade = module.__dict__.get("grade")
    if not callable(grade):
        raise TypeError("the source does not define a function grade(sample, item)")
    return grade  # type: ignore[no-any-return]


class Chance:
    """Random numbers are the same in every call and in every run of a job, so that grades are too."""

    def __init__(self) -> None:
        """Keep the state after loading: seed 0, or what the source made of it."""
        self._state = random.getstate()

    def restore(self) -> None:
        """In the child: `random` draws a new seed in every fork, numpy has one from the system."""
        random.setstate(self._state)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(0)


class Calls:
    """The calls in flight: one forked child each."""

    def __init__(self, control: socket.socket, grade: Grade, cpu_seconds: int) -> None:
        self._control = control
        self._grade = grade
        self._chance = Chance()
        self._cpu_seconds = cpu_seconds
        self._pids: dict[int, int] = {}
        self._children: dict[int, tuple[int, socket.socket, int]] = {}

    def serve(self) -> None:
        """Obey the control channel and report children's ends, until the channel closes."""
        while True:
            handles = {handle: pid for pid, (_, _, handle) in self._children.items()}
            waited: list[Any] = [self._control, *handles]
            ready: list[Any] = select.select(waited, [], [])[0]
            for handle in ready:
                if handle is not self._control:
                    self._bury(handles[handle])
            self._reap_orphans()
            if self._control in ready and not self._obey():
                return

    def _obey(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._control, _PACKET, 1)
        if not packet:
            return False
        command = json.loads(packet)
        if "call" in command:
            self._fork(command["call"], socket.socket(fileno=descriptors[0]))
        elif command["kill"] in self._pids:
            os.kill(self._pids[command["kill"]], signal.SIGKILL)
        return True

    def _fork(self, number: int, channel: socket.socket) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._leave(parent)
                self._chance.restore()
                _serve_call(channel, self._grade, number, self._cpu_seconds)
            finally:
                os._exit(1)
        self._pids[number] = pid
        self._children[pid] = (number, channel, os.pidfd_open(pid))

    def _leave(self, parent: int) -> None:
        """In the child: own session, death with the parent, no descriptor of the parent's."""
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        self._control.close()
        for _, channel, handle in self._children.values():
            channel.close()
            os.close(handle)

    def _bury(self, pid: int) -> None:
        """A child has ended: end what it left running, and say on its channel how it ended."""
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        number, channel, handle = self._children.pop(pid)
        del self._pids[number]
        os.close(handle)
        channel.setblocking(False)
        with contextlib.suppress(OSError):
            _send(channel, {"status": status})
        channel.close()

    def _reap_orphans(self) -> None:
        """As the init of its own namespace this process inherits what the children leave behind."""
        with contextlib.suppress(ChildProcessError):
            while True:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in self._children:
                    return
                os.waitpid(found.si_pid, 0)


def _serve_call(channel: socket.socket, grade: Grade, number: int, cpu_seconds: int) -> NoReturn:
    _own_scratch(number)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    try:
        request = _receive(channel)
        reply = {"value": plain_number(grade(request["sample"], request["item"]))}
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the user's is an error like others
        reply = {"error": error_text(error)}
    _send(channel, reply)
    os._exit(0)


def _own_scratch(number: int) -> None:
    """An empty directory for this call alone; the server removes it."""
    directory = Path.cwd() / str(number)
    directory.mkdir(mode=0o700)
    os.chdir(directory)
    os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = str(directory)


def plain_number(value: Any) -> Any:
    """The value as a bool, int or float. Raises `TypeError` for everything else, strings that look like numbers included."""
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"grade must return a number, not {type(value).__name__}")


def error_text(error: BaseException) -> str:
    """The last lines of the traceback, without this file's own frames."""
    try:
        text = "".join(traceback.format_exception(type(error), error, _users_frames(error)))
    except BaseException:  # noqa: BLE001 - not even the memory for a traceback
        text = type(error).__name__
    return text.strip()[-_ERROR_CHARACTERS:]


def _users_frames(error: BaseException) -> Any:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


def _send(channel: socket.socket, message: Any) -> None:
    body = json.dumps(message).encode()
    channel.sendall(_HEADER.pack(len(body)) + body)


def _receive(channel: socket.socket) -> Any:
    size = _HEADER.unpack(_receive_exactly(channel, _HEADER.size))[0]
    return json.loads(_receive_exactly(channel, size))


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = channel.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError("the server has gone")
        data += piece
    return bytes(data)


if __name__ == "__main__":
    main()
