"""The client of a grader process, and the one that starts the process on first use and owns it."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

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


class GraderServer(Protocol):
    """Where a grader process listens: `core.processes.SocketService`, or the address of one that others run."""

    @property
    def path(self) -> Path | None:
        """Its socket; None while it was not started."""

    def ensure(self) -> Path:
        """The path of its socket. Raises `Unavailable`."""

    def close(self) -> None:
        """Let go of it."""


class GraderClient:
    """Runs python graders and programs in a grader process. Safe to use from several threads.

    Calls of two tenants never share a process: see `for_tenant`. Where the process dies, work is sent again after each of
    `pauses`, in seconds; after `silence_seconds` without a word from it nothing more is awaited.
    """

    def __init__(self, server: GraderServer, *, pauses: Sequence[float] = _PAUSES, silence_seconds: float | None = None) -> None:
        self._server = server
        self._pauses = pauses
        self._silence_seconds = silence_seconds
        self._idle: deque[socket.socket] = deque()
        """Connections that no thread uses now."""
        self._busy: set[socket.socket] = set()
        self._closings = 0

    @property
    def path(self) -> Path | None:
        """The grader process's socket; None while none was needed."""
        return self._server.path

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
        """Close the connections, and end the process where it is our own. What is under way comes to nothing."""
        self._closings += 1
        self._forget_connections()
        for connection in list(self._busy):
            with contextlib.suppress(OSError):  # its thread is done with it just now
                connection.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _ask(self, message: Json) -> Any:
        answer = self._deliver(frames.pack(message))
        if "unavailable" in answer:
            raise SandboxUnavailable(answer["unavailable"])
        return answer

    def _deliver(self, request: bytes) -> Any:
        """The grader process may die under a request: another one takes it, and grading twice does no harm."""
        closings = self._closings
        for pause in self._pauses:
            try:
                return self._exchange(request)
            except TimeoutError:
                raise SandboxUnavailable("the grader process does not answer") from None
            except (OSError, frames.BrokenFrame) as error:
                if closings != self._closings:
                    raise SandboxUnavailable("the sandbox was closed meanwhile") from None
                failure = error
                # Its socket may accept for a moment longer than it lives.
                time.sleep(pause)
        raise SandboxUnavailable(f"the grader process is gone: {failure}") from failure

    def _exchange(self, request: bytes) -> Any:
        connection = self._idle_connection() or self._connect()
        try:
            answer = self._answer(connection, request)
        except BaseException:
            connection.close()
            self._forget_connections()
            raise
        self._idle.append(connection)
        return answer

    def _answer(self, connection: socket.socket, request: bytes) -> Any:
        self._busy.add(connection)
        try:
            connection.sendall(request)
            while "alive" in (answer := frames.receive(connection)):
                pass
            return answer
        finally:
            self._busy.discard(connection)

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
            path = self._server.ensure()
        except Unavailable as error:
            raise SandboxUnavailable(error.message) from error
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self._silence_seconds)
        try:
            connection.connect(str(path))
            self._greet(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _greet(self, connection: socket.socket) -> None:
        """What comes first on a new connection."""


class SandboxClient(GraderClient):
    """Runs python graders and programs in a grader process of its own.

    `python` is the interpreter of user code (3.11 or newer; this service's own where None), `wall_seconds` the limit for one
    call of a grader and for loading a source, `parallel` the calls at a time (the machine's cores where None), `memory_bytes`
    the memory of each call. Calls run at the strongest level that the machine gives, and not at all below `minimum`; `level`
    asks for exactly one instead.
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
        super().__init__(self._service)

    @property
    def server_pid(self) -> int | None:
        """The grader process, once it was started."""
        return self._service.pid


@dataclass(frozen=True)
class TenantSandbox:
    """One project's part of a `GraderClient`, which stays its owner's to close."""

    client: GraderClient
    tenant: str

    def run(self, source: str, calls: Sequence[tuple[Json, Json]]) -> list[SandboxReply]:
        """As `GraderClient.run`."""
        return self.client.run(source, calls, tenant=self.tenant)

    def execute(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """As `GraderClient.execute`."""
        return self.client.execute(programs, tenant=self.tenant)

    def check(self) -> None:
        """As `GraderClient.check`."""
        self.client.check()

    def close(self) -> None:
        """Nothing: others use the grader process, too."""
