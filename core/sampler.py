"""The sampler as a child process: who needs a model served starts one of its own."""

from __future__ import annotations

import sys

from core.processes import SocketService
from core.settings import Settings

START_SECONDS = 180.0


def sampler_service(settings: Settings) -> SocketService:
    """A sampler that starts at first use and writes to the service's `sampler.log`. The caller owns it."""
    log = settings.data_dir / "logs" / "sampler.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "worker.sampler", "--socket", "{socket}", "--follow-stdin"]
    return SocketService(argv, env=settings.environment(), log=log, start_seconds=START_SECONDS)
