"""Programs that run until the owner lets go of them, or dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.client import CommandFailed
from cli.topology import guard

_LAST_WORDS = 2000
_START_SECONDS = 180.0
_STOP_SECONDS = 40.0
_RESTART_SECONDS = 1.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """What is run, and how it wants to be ended."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    end: str = "TERM"
    """The signal, without SIG."""
    restarts: bool = True
    """Whether it is started again where it ends. Otherwise its end is the end of all."""
    user: int | None = None
    """To run as, where we are root."""


@dataclass
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    restart_at: float | None = None


@dataclass
class Processes:
    """Programs that run together. Their output goes to a file each, `<name>.log` in `logs`."""

    logs: Path
    _running: list[_Running] = field(default_factory=list)

    def start(self, program: Program) -> None:
        """Start a program; `wait` tells when it is of use."""
        self._running.append(_Running(program, self._spawn(program)))

    def wait(self, ready: Callable[[], bool]) -> None:
        """Until `ready`. Raises `CommandFailed` with the last words of a program that ends meanwhile."""
        give_up = time.monotonic() + _START_SECONDS
        while not ready():
            ended = next((one for one in self._running if one.process.poll() is not None), None)
            if ended is not None:
                raise self._failure(ended)
            if time.monotonic() > give_up:
                raise CommandFailed(f"Not ready within {_START_SECONDS:g} seconds; the logs in {self.logs} may tell why.")
            time.sleep(_LOOK_SECONDS)

    def keep(self, until: Callable[[], bool]) -> None:
        """Start again what ends, `until` says stop. Raises `CommandFailed` where one ends that is not started again."""
        while not until():
            for one in self._running:
                self._look_after(one)
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """End all of them, those that are not started again last: the others use them. Returns when they are gone."""
        for restarts in (True, False):
            ending = [one.process for one in self._running if one.program.restarts is restarts]
            for process in ending:
                assert process.stdin is not None
                process.stdin.close()
            for process in ending:
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._running.clear()

    def _look_after(self, one: _Running) -> None:
        if one.process.poll() is None:
            return
        if not one.program.restarts:
            raise self._failure(one)
        assert one.process.stdin is not None
        one.process.stdin.close()
        if one.restart_at is None:
            one.restart_at = time.monotonic() + _RESTART_SECONDS
        elif time.monotonic() >= one.restart_at:
            one.process, one.restart_at = self._spawn(one.program), None

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        user = [] if program.user is None else ["--user", str(program.user)]
        with self._log(program).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", "-E", guard.__file__, *user, program.end, *program.argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(program.environment),
                start_new_session=True,
            )

    def _failure(self, one: _Running) -> CommandFailed:
        words = self._log(one.program).read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace").strip()
        return CommandFailed(f"{one.program.name} ended with status {one.process.returncode}: {words or 'it said nothing'}")

    def _log(self, program: Program) -> Path:
        return self.logs / f"{program.name}.log"
