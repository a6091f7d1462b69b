"""`rft grader` as a process, for tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from graders.sandbox.client import SandboxUnavailable
from graders.sandbox.service import ServiceClient

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 240.0


@dataclass
class GraderService:
    """A service that a test starts, kills and starts again, always at the same path."""

    path: Path
    options: tuple[str, ...] = ()
    process: psutil.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "cli.main", "grader", "--socket", str(self.path), *self.options]
        self.process = psutil.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        client = ServiceClient(self.path)
        while self.process is not None and self.process.poll() is None:
            try:
                return client.check()
            except SandboxUnavailable:
                continue
            finally:
                client.close()
        raise AssertionError("the grader service has ended")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_SECONDS)
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self.process = None


@contextmanager
def grader_service(*options: str) -> Iterator[GraderService]:
    """One that answers, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="rft-grader-") as directory:
        service = GraderService(Path(directory) / "s", options)
        service.start()
        try:
            yield service
        finally:
            service.stop()
