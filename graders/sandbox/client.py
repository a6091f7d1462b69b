"""The client of the grader process, which it starts on first use and owns."""

from __future__ import annotations

import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import RftError, Unavailable
from core.processes import SocketService
from graders.base import Json, Program, ProgramResult, SandboxReply
from graders.sandbox import frames
from graders.sandbox.levels import Level

_ROOT = Path(__file__).resolve().parents[2]
_PAUSES = (0.05, 0.2, 0.0)


class SandboxUnavailable(RftError):
    """The sandbox could not run anything: no fault of the grader's code."""

    status = 503
    code = "sandbox_unavailable"
    type = "server_error"


@dataclass(frozen=True)
class Enforced:
    """The level that calls run at, and why no stronger one."""

    level: Level
    refused: dict[str, str]


class SandboxClient:
    """Runs python graders and programs in a grader process of its own. Safe to use from several threads.

    `python` is the interpreter of user code (3.11 or newer; this service's own where None), `wall_seconds` the limit for one
    call of a grader and for loading a source, `parallel` the calls at a time (the machine's cores where None), `memory_bytes`
    the memory of each call. Calls run at the strongest level that the machine gives, and not at all below `minimum`; `level`
    asks for exactly one instead. Calls of two tenants never share a process: see `for_tenant`.
    """

    def __init__(
        self,
        python: str | None = None,
        wall_seconds: float = 120.0,
        *,
        parallel: int | None = None,
        memory_bytes: int = 2 << 30,
        minimum: str = Level.PROCESS,
        level: str | None = None,
    ) -> None:
        options = ["--python", python or sys.executable, "--wall", str(wall_seconds), "--memory", str(memory_bytes)]
        options += [] if parallel is None else ["--parallel", str(parallel)]
        options += ["--minimum", minimum] if level is None else ["--level", level]
        self._service = SocketService(
            [sys.executable, "-P", "-m", "graders.sandbox.server", "{socket}", *options],
            # Nothing of the owner's environment: it holds keys.
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
        )
        self._idle: deque[socket.socket] = deque()
        """Connections that no thread uses now."""

    @property
    def server_pid(self) -> int | None:
        """The grader process, once it was started."""
        return self._service.pid

    def for_tenant(self, tenant: str) -> TenantSandbox:
        """The same grader process for one project: its calls share no process with those of others."""
        return TenantSandbox(self, tenant)

    def run(self, source: str, calls: Sequence[tuple[Json, Json]], *, tenant: str = "") -> list[SandboxReply]:
        """`grade(sample, item)` of `source` on each pair, in order; each in a process of its own.

        A reply's value is a bool, int or float (perhaps not finite). Raises `SandboxUnavailable` where nothing could be run.
        """
        answer = self._ask({"tenant": tenant, "source": source, "calls": [list(call) for call in calls]})
        return [SandboxReply(reply.get("value"), reply.get("error"), reply["seconds"]) for reply in answer["replies"]]

    def execute(self, programs: Sequence[Program], *, tenant: str = "") -> list[ProgramResult]:
        """Run each program by itself, in order of the results. Raises `SandboxUnavailable` where nothing could be run."""
        answer = self._ask({"tenant": tenant, "programs": [asdict(program) for program in programs]})
        return [ProgramResult(**reply) for reply in answer["replies"]]

    def enforced(self) -> Enforced:
        """What calls run at. Raises `SandboxUnavailable` where that is less than the minimum."""
        answer = self._ask({"level": True})
        return Enforced(Level(answer["level"]), answer["refused"])

    def check(self) -> None:
        """Raises `SandboxUnavailable` where the host gives less than the minimum."""
        self.enforced()

    def close(self) -> None:
        """End the grader process."""
        self._forget_connections()
        self._service.close()

    def _ask(self, message: Json) -> Any:
        answer = self._deliver(frames.pack(message))
        if "unavailable" in answer:
            raise SandboxUnavailable(answer["unavailable"])
        return answer

    def _deliver(self, request: bytes) -> Any:
        """The grader process may die under a request: `ensure` starts another, and grading twice does no harm."""
        for pause in _PAUSES:
            try:
                return self._exchange(request)
            except (OSError, frames.BrokenFrame) as error:
                failure = error
                # Its socket may accept for a moment longer than it lives.
                time.sleep(pause)
        raise SandboxUnavailable(f"the grader process died: {failure}") from failure

    def _exchange(self, request: bytes) -> Any:
        connection = self._idle_connection() or self._connect()
        try:
            connection.sendall(request)
            answer = frames.receive(connection)
        except BaseException:
            connection.close()
            self._forget_connections()
            raise
        self._idle.append(connection)
        return answer

    def _idle_connection(self) -> socket.socket | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _forget_connections(self) -> None:
        while (connection := self._idle_connection()) is not None:
            connection.close()

    def _connect(self) -> socket.socket:
        try:
            path = self._service.ensure()
        except Unavailable as error:
            raise SandboxUnavailable(error.message) from error
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return connection


@dataclass(frozen=True)
class TenantSandbox:
    """One project's part of a `SandboxClient`, which stays its owner's to close."""

    client: SandboxClient
    tenant: str

    def run(self, source: str, calls: Sequence[tuple[Json, Json]]) -> list[SandboxReply]:
        """As `SandboxClient.run`."""
        return self.client.run(source, calls, tenant=self.tenant)

    def execute(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """As `SandboxClient.execute`."""
        return self.client.execute(programs, tenant=self.tenant)

    def check(self) -> None:
        """As `SandboxClient.check`."""
        self.client.check()

    def close(self) -> None:
        """Nothing: others use the grader process, too."""
