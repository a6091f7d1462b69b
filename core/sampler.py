"""The way to the sampler: a child process that each API or runner starts for itself, or one for all (`rft sampler`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.processes import SocketService
from core.settings import Settings

START_SECONDS = 180.0


@dataclass(frozen=True)
class RemoteSampler:
    """A sampler that others run, behind a URL; `token` is the secret that it shares with its clients."""

    url: str
    token: str | None = field(default=None, repr=False)

    def close(self) -> None:
        """Nothing: others use it, too."""


SamplerServer = SocketService | RemoteSampler


@dataclass(frozen=True)
class Address:
    """Where requests go: by way of a unix socket where there is one."""

    url: str
    socket: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def reach(server: SamplerServer) -> Address:
    """The sampler's address; a process of our own is started where it does not run. Raises `Unavailable` where it cannot be."""
    if isinstance(server, SocketService):
        return Address("http://sampler", server.ensure())
    headers = {} if server.token is None else {"authorization": f"Bearer {server.token}"}
    return Address(server.url.rstrip("/"), headers=headers)


def sampler_service(settings: Settings) -> SamplerServer:
    """The sampler at `RFT_SAMPLER_URL`, or one that starts at first use and writes to the service's `sampler.log`.

    The caller closes it.
    """
    if settings.sampler_url is not None:
        return RemoteSampler(settings.sampler_url, settings.sampler_token)
    log = settings.data_dir / "logs" / "sampler.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "worker.sampler", "--socket", "{socket}", "--follow-stdin"]
    return SocketService(argv, env=settings.environment(), log=log, start_seconds=START_SECONDS)
