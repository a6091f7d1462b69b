"""`rft api`: the API alone, as one or several processes on one port; workers run elsewhere.

`python -m cli.api FD` is one process of several, on the socket that it was handed.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
import uvicorn

from cli.child import Child
from cli.client import CommandFailed
from cli.server import GRACE_SECONDS, Server, address, first_key, leave_signals_to, listen
from core.bell import Bell
from core.lifeline import exit_with_owner
from core.settings import Settings, get_settings
from core.telemetry import logs


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: RFT_HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: RFT_PORT, or 8000; 0 takes a free one.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that answer requests.")] = 1,
    follow_stdin: Annotated[bool, typer.Option("--follow-stdin", hidden=True)] = False,
) -> None:
    """Run the API without a worker."""
    settings = get_settings()
    if follow_stdin:
        exit_with_owner()
    with listen(settings.host if host is None else host, settings.port if port is None else port) as listener:
        key = first_key(settings)
        typer.echo(f"base_url  {address(listener)}/v1")
        if key is not None:
            typer.echo(f"api_key   {key}   (shown this once)")
        sys.stdout.flush()
        if workers == 1:
            _answer(settings, listener)
        else:
            _keep_answering(settings, listener, workers)


def _answer(settings: Settings, listener: socket.socket) -> None:
    """Answer requests in this process until it is asked to end."""
    logs.configure(settings)
    from api.app import create_app  # only the processes that answer pay for its imports

    app = create_app(settings)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=False)
    server = Server(config, app.state.context.streams.close)
    leave_signals_to(server)
    server.run(sockets=[listener])
    if not server.started:
        raise CommandFailed("The API could not start; the log above says why.")


def _keep_answering(settings: Settings, listener: socket.socket, workers: int) -> None:
    """Keep so many processes that answer until this one is asked to end."""
    end = Bell()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.ring())
    descriptor = listener.fileno()
    environment = settings.environment()
    children = [Child("API process", "cli.api", [str(descriptor)], environment, [descriptor]) for _ in range(workers)]
    for child in children:
        child.start()
    end.wait(None)
    for child in children:
        child.ask_to_end()
    for child in children:
        child.stop()


def main(arguments: Sequence[str]) -> None:
    """One process of several, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="cli.api")
    parser.add_argument("--follow-stdin", action="store_true")
    parser.add_argument("descriptor", type=int)
    asked = parser.parse_args(arguments)
    if asked.follow_stdin:
        exit_with_owner()
    with socket.socket(fileno=asked.descriptor) as listener:
        _answer(get_settings(), listener)


if __name__ == "__main__":
    main(sys.argv[1:])
