"""The warm side of the sandbox: loads one grader's source, or none, then forks once for each call.

No call sees another's traces.

    python .../boot.py CONTROL_FD CONFIG

Standard library only, because it runs under whatever interpreter the operator names. As a `grader` it shares a process with
hostile code: the server believes nothing it says beyond the shape of a frame. As a `program` zygote it never runs a user's code
itself.

Load channel (stream): we send {"started": true}, receive {"source"}, send {"ready": true} or {"error": text}.
Control channel (one JSON message a packet): {"kill": number}, or {"call": number, "scratch": directory} with descriptors
attached: the call's channel, for programs also standard output and standard error.
Call channel (stream): a grader's child receives {"sample", "item", "nonce"} and sends {"value", "nonce"} or {"error"}; a
program's child receives {"source", "stdin"} and sends nothing. When the child is gone we add {"status", "pid", "peak"}.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from graders.sandbox import kernel, landlock, seccomp, view
from graders.sandbox.config import Config
from graders.sandbox.frames import receive, send
from graders.sandbox.levels import Level
from graders.sandbox.usercode import Chance, Grade, error_text, load_grader, plain_number, prepare_program, run_program

_PACKET = 4096
_DESCRIPTORS = 3
_ALL_DESCRIPTORS = 1 << 20

Job = Callable[[], None]
"""What a forked child goes on to do; does not come back."""


def main() -> None:
    """Load, then serve calls until the control channel closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    config = Config.from_argument(sys.argv[2])
    sys.argv = ["grader.py"]
    if config.level is not Level.NONE:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    load = socket.socket(fileno=config.load)
    send(load, {"started": True})
    source = receive(load)["source"]
    try:
        grade = load_grader(source) if config.kind == "grader" else prepare_program()
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the user's is an error like others
        send(load, {"error": error_text(error)})
        return
    send(load, {"ready": True})
    load.close()
    # What is there now is not looked through for garbage in every call: that alone would copy most of it.
    gc.freeze()
    job = Calls(control, config, grade).serve()
    if job is not None:
        job()


class Calls:
    """The calls in flight: one forked child each."""

    def __init__(self, control: socket.socket, config: Config, grade: Grade) -> None:
        self._control = control
        self._config = config
        self._grade = grade
        self._chance = Chance()
        self._pids: dict[int, int] = {}
        self._children: dict[int, tuple[int, socket.socket, int]] = {}
        self._own_namespaces = config.level is Level.STRICT
        if config.level is not Level.NONE:
            self._rules = landlock.Ruleset().of_code(config.paths, view.DEVICES)
            self._filter = seccomp.call_filter(None)

    def serve(self) -> Job | None:
        """Obey the control channel and report children's ends until the channel closes; in a child, what it has to do."""
        while True:
            handles = {handle: pid for pid, (_, _, handle) in self._children.items()}
            waited: list[Any] = [self._control, *handles]
            ready: list[Any] = select.select(waited, [], [])[0]
            for handle in ready:
                if handle is not self._control:
                    self._bury(handles[handle])
            if self._control in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._control, _PACKET, _DESCRIPTORS)
                if not packet:
                    return None
                job = self._obey(json.loads(packet), descriptors)
                if job is not None:
                    return job

    def _obey(self, command: dict[str, Any], descriptors: list[int]) -> Job | None:
        if "call" in command:
            return self._fork(command["call"], command["scratch"], descriptors)
        if command["kill"] in self._pids:
            os.kill(self._pids[command["kill"]], signal.SIGKILL)
        return None

    def _fork(self, number: int, scratch: str, descriptors: list[int]) -> Job | None:
        parent = os.getpid()
        # Made here and not in the child, where each page that is touched first has to be copied.
        rules = self._ruleset()
        pid = kernel.clone(seccomp.CALL_NAMESPACES) if self._own_namespaces else os.fork()
        if pid == 0:
            try:
                return self._begin_call(parent, scratch, descriptors, rules)
            except BaseException:  # noqa: BLE001 - must not go on as a second zygote
                os._exit(1)
        if rules is not None:
            rules.close()
        channel, *others = descriptors
        for descriptor in others:
            os.close(descriptor)
        self._pids[number] = pid
        self._children[pid] = (number, socket.socket(fileno=channel), os.pidfd_open(pid))
        return None

    def _begin_call(self, parent: int, scratch: str, descriptors: list[int], rules: landlock.Ruleset | None) -> Job:
        """In the child: walls first, then the request."""
        os.setsid()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not self._own_namespaces and os.getppid() != parent:
            os._exit(1)
        os.chdir(scratch)
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = scratch
        channel, *streams = descriptors
        for place, stream in enumerate(streams, start=1):
            os.dup2(stream, place)
        if rules is not None:
            self._wall_in(scratch, rules)
        os.closerange(3, channel)
        os.closerange(channel + 1, _ALL_DESCRIPTORS)
        self._chance.restore()
        return self._job(socket.socket(fileno=channel))

    def _job(self, channel: socket.socket) -> Job:
        if self._config.kind == "grader":
            return lambda: _serve_grade(channel, self._grade)
        request = receive(channel)
        channel.close()
        return lambda: run_program(request["source"], request["stdin"])

    def _ruleset(self) -> landlock.Ruleset | None:
        """What a call may read; its own scratch is missing yet."""
        if self._config.level is Level.NONE:
            return None
        rules = landlock.Ruleset()
        for rule in self._rules:
            rules.add(rule)
        return rules

    def _wall_in(self, scratch: str, rules: landlock.Ruleset) -> None:
        _limit(resource.RLIMIT_CPU, self._config.cpu_seconds)
        rules.add(rules.rule(scratch, rules.scratch))
        rules.enforce()
        if self._own_namespaces:
            _limit(resource.RLIMIT_NPROC, self._config.processes)
            kernel.drop_capabilities()
            kernel.install_filter(self._filter)
        else:
            kernel.install_filter(seccomp.call_filter(os.getpid()))

    def _bury(self, pid: int) -> None:
        """A child has ended: end what it left running, and say on its channel how it ended."""
        _, encoded, usage = os.wait4(pid, 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        number, channel, handle = self._children.pop(pid)
        del self._pids[number]
        os.close(handle)
        channel.setblocking(False)
        end = {"status": os.waitstatus_to_exitcode(encoded), "pid": pid, "peak": usage.ru_maxrss * 1024}
        with contextlib.suppress(OSError):
            send(channel, end)
        channel.close()


def _serve_grade(channel: socket.socket, grade: Grade) -> None:
    try:
        request = receive(channel)
        nonce = request["nonce"]
        reply = {"value": plain_number(grade(request["sample"], request["item"])), "nonce": nonce}
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the user's is an error like others
        reply = {"error": error_text(error)}
    send(channel, reply)
    os._exit(0)


def _limit(kind: int, limit: int) -> None:
    resource.setrlimit(kind, (limit, limit))
