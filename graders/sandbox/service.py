"""The client of a grader service: a grader process of several owners, which somebody else starts and ends."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from core.settings import Settings
from graders.sandbox import frames
from graders.sandbox.client import GraderClient, SandboxClient, SandboxUnavailable
from graders.sandbox.levels import Level

REQUEST_PATIENCE_SECONDS = 3.0
"""How long a service that is being started again may take, before calls fail: somebody waits for an answer."""
JOB_PATIENCE_SECONDS = 60.0
"""The same where a failed sample would make another model of the job."""
SILENCE_SECONDS = 60.0
"""After which a service that says nothing has stopped; one at work says so every few seconds."""


@dataclass(frozen=True)
class _Address:
    """A `GraderServer` that is there without our doing."""

    path: Path

    def ensure(self) -> Path:
        return self.path

    def close(self) -> None:
        """Nothing: others use it, too."""


class ServiceClient(GraderClient):
    """Runs python graders and programs in the grader service at a unix socket.

    The service has an interpreter and limits of its own; calls that it would run below the level `minimum` are refused here.
    One that is not there is waited for as long as `patience_seconds`, one that says nothing as long as `silence_seconds`.
    """

    def __init__(
        self,
        path: Path,
        *,
        minimum: str = Level.PROCESS,
        patience_seconds: float = REQUEST_PATIENCE_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        pauses = (0.05, 0.2, *[1.0] * round(patience_seconds), 0.0) if patience_seconds else (0.0,)
        super().__init__(_Address(path), pauses=pauses, silence_seconds=silence_seconds)
        self._path = path
        self._minimum = Level(minimum)

    def _greet(self, connection: socket.socket) -> None:
        """Raises `SandboxUnavailable` where the service's calls are less isolated than they have to be."""
        answer = self._answer(connection, frames.pack({"level": True}))
        if "unavailable" in answer:
            raise SandboxUnavailable(answer["unavailable"])
        level = Level(answer["level"])
        if level.rank < self._minimum.rank:
            raise SandboxUnavailable(
                f"the grader service at {self._path} runs calls at the level '{level}', less than the '{self._minimum}' asked for"
            )


def open_sandbox(settings: Settings, patience_seconds: float = REQUEST_PATIENCE_SECONDS) -> GraderClient:
    """The sandbox of this process: the service that `RFT_GRADER_SOCKET` names, or a grader process of its own."""
    if settings.grader_socket is not None:
        return ServiceClient(settings.grader_socket, minimum=settings.sandbox_level, patience_seconds=patience_seconds)
    return SandboxClient(settings.grader_python, minimum=settings.sandbox_level)
