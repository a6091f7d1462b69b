"""`python -m worker.sampler --socket PATH [--follow-stdin]`: serve until a signal, or until stdin ends where it is followed."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import torch
import uvicorn

from core.errors import RftError
from core.lifeline import exit_with_owner
from core.models import ModelRegistry
from core.settings import get_settings
from core.storage.build import open_store
from worker.sampler.engine import Engine
from worker.sampler.server import SamplerApp

_GRACE_SECONDS = 3
"""What open requests may take after the end was asked for."""


def main() -> int:
    """Run the sampler of this data directory; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.sampler")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--follow-stdin", action="store_true", help="exit when stdin ends, that is: when the parent has died")
    arguments = parser.parse_args()
    if arguments.follow_stdin:
        exit_with_owner()
    settings = get_settings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        engine = Engine(
            ModelRegistry.load(settings),
            open_store(settings.object_store_url),
            merged_directory=settings.data_dir / "merged",
            device=settings.sampler_device,
        )
    except RftError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    config = uvicorn.Config(
        SamplerApp(engine).asgi(), log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    server.run(sockets=[_listen(arguments.socket)])
    return 0


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
