"""`rft serve`: the embedded service. The API runs in this process, the worker in a child that never outlives it."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import typer
import uvicorn

from cli.child import Child
from cli.client import CommandFailed
from cli.keys import database
from cli.server import GRACE_SECONDS, Server, address, first_key, leave_signals_to, listen
from core.settings import DEFAULT_PROJECT, get_settings
from core.telemetry import logs


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: RFT_HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: RFT_PORT, or 8000; 0 takes a free one.")] = None,
) -> None:
    """Run the service: API and worker."""
    from api.app import create_app  # only this command pays for its imports

    settings = get_settings()
    logs.configure(settings)
    with listen(settings.host if host is None else host, settings.port if port is None else port) as listener:
        key = first_key(settings)
        app = create_app(settings)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=False
        )
        server = Server(config, app.state.context.streams.close)
        leave_signals_to(server)
        worker = Child("worker", "worker.supervisor", [], settings.environment())
        worker.start()
        try:
            _announce(listener, key)
            server.run(sockets=[listener])
        finally:
            worker.stop()
    if not server.started:
        raise CommandFailed("The service could not start; the log above says why.")


def _announce(listener: socket.socket, key: str | None) -> None:
    typer.echo(f"base_url  {address(listener)}/v1")
    if key is not None:
        typer.echo(f"api_key   {key}   (shown this once)")
    # What is no terminal may be a log that others read: there the link lets nobody in.
    fragment = _sign_in_fragment() if sys.stdout.isatty() else ""
    typer.echo(f"dashboard {address(listener)}/dashboard{fragment}")
    sys.stdout.flush()


def _sign_in_fragment() -> str:
    """What makes the dashboard's address a link that signs one browser in, once and for some minutes; empty without a key."""
    from core.security.keys import KeyStore
    from core.security.sessions import SessionStore

    with database() as found:
        keys = [key for key in KeyStore(found).list_good(DEFAULT_PROJECT) if not key.scopes]
        return f"#link={SessionStore(found).make_link(DEFAULT_PROJECT, keys[0].id)}" if keys else ""
