"""The client of the grader process, which it starts on first use and owns."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import RftError, Unavailable
from core.processes import SocketService
from graders.base import Json, SandboxReply
from graders.sandbox import frames

_ROOT = Path(__file__).resolve().parents[2]
_PAUSES = (0.05, 0.2, 0.0)


class SandboxUnavailable(RftError):
    """The sandbox could not run anything: no fault of the grader's code."""

    status = 503
    code = "sandbox_unavailable"
    type = "server_error"


class SandboxClient:
    """Runs python graders in a grader process of its own. Safe to use from several threads.

    `python` is the interpreter of the graders (3.11 or newer; this service's own where None), `wall_seconds` the limit for one
    call and for loading a source, `parallel` the calls at a time (the machine's cores where None), `memory_bytes` the address
    space of each call. `namespaces=False` does without kernel namespaces even where they are to be had.
    """

    def __init__(
        self,
        python: str | None = None,
        wall_seconds: float = 120.0,
        *,
        parallel: int | None = None,
        memory_bytes: int = 2 << 30,
        namespaces: bool = True,
    ) -> None:
        options = ["--python", python or sys.executable, "--wall", str(wall_seconds), "--memory", str(memory_bytes)]
        options += [] if parallel is None else ["--parallel", str(parallel)]
        options += [] if namespaces else ["--no-namespaces"]
        self._service = SocketService(
            [sys.executable, "-P", "-m", "graders.sandbox.server", "{socket}", *options],
            # Nothing of the owner's environment: it holds keys.
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
        )

    @property
    def server_pid(self) -> int | None:
        """The grader process, once it was started."""
        return self._service.pid

    def run(self, source: str, calls: Sequence[tuple[Json, Json]]) -> list[SandboxReply]:
        """`grade(sample, item)` of `source` on each pair, in order; each in a process of its own.

        A reply's value is a bool, int or float (perhaps not finite). Raises `SandboxUnavailable` where nothing could be run.
        """
        request = frames.pack({"source": source, "calls": [list(call) for call in calls]})
        answer = self._ask(request)
        if "unavailable" in answer:
            raise SandboxUnavailable(answer["unavailable"])
        return [SandboxReply(reply.get("value"), reply.get("error"), reply["seconds"]) for reply in answer["replies"]]

    def close(self) -> None:
        """End the grader process."""
        self._service.close()

    def _ask(self, request: bytes) -> Any:
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
        try:
            path = self._service.ensure()
        except Unavailable as error:
            raise SandboxUnavailable(error.message) from error
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(request)
            return frames.receive(connection)
