"""The sampler process: serves until a signal, or until stdin ends where it is followed.

    python -m worker.sampler (--socket PATH | --host ADDRESS --port N) [--follow-stdin]

On a network it answers only who sends `RFT_SAMPLER_TOKEN`.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp

from core.errors import RftError
from core.lifeline import exit_with_owner
from core.models import ModelRegistry
from core.settings import get_settings
from core.storage.build import open_store
from core.telemetry import logs
from worker.sampler.access import TokenRequired
from worker.sampler.backends import VllmBackend
from worker.sampler.engine import Engine
from worker.sampler.requests import RequestIds
from worker.sampler.server import SamplerApp

_GRACE_SECONDS = 3
"""What open requests may take after the end was asked for."""


def main() -> int:
    """Run the sampler of this data directory; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.sampler")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="unix socket to listen on")
    place.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--follow-stdin", action="store_true", help="exit when stdin ends, that is: when the parent has died")
    arguments = parser.parse_args()
    if arguments.follow_stdin:
        exit_with_owner()
    settings = get_settings()
    logs.configure(settings)
    if arguments.host and not settings.sampler_token:
        sys.stderr.write("RFT_SAMPLER_TOKEN is not set: on a network the sampler answers nobody without it.\n")
        return 1
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        registry, store = ModelRegistry.load(settings), open_store(settings.object_store_url)
        engine = Engine(registry, store, merged_directory=settings.data_dir / "merged", device=settings.sampler_device)
    except RftError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    app: ASGIApp = RequestIds(SamplerApp(engine, VllmBackend(registry, store, settings)).asgi())
    if settings.sampler_token and arguments.host:
        app = TokenRequired(app, settings.sampler_token)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS)
    server = uvicorn.Server(config)
    server.run(sockets=[_listen_at(arguments.host, arguments.port) if arguments.host else _listen(arguments.socket)])
    return 0


def _listen_at(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _listen(path: Path) -> socket.socket:
    """A listening socket for this user alone, in place of what a process before may have left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(fresh))
    fresh.chmod(0o600)
    listener.listen(128)
    fresh.rename(path)
    return listener


if __name__ == "__main__":
    sys.exit(main())
