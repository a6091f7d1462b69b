"""`rft serve`: the embedded service. The API runs in this process, the worker in a child that never outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from cli.client import CommandFailed
from cli.keys import database, key_store
from core.settings import DEFAULT_PROJECT, Settings, get_settings

_GRACE_SECONDS = 5
"""What open requests may take after the end was asked for."""
_STOP_SECONDS = 20.0
"""What the worker may take to let go of its job."""
_RESTART_SECONDS = 1.0


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: RFT_HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: RFT_PORT, or 8000; 0 takes a free one.")] = None,
) -> None:
    """Run the service: API and worker."""
    from api.app import create_app  # only this command pays for its imports

    settings = get_settings()
    with _listen(settings.host if host is None else host, settings.port if port is None else port) as listener:
        key = _first_key(settings)
        app = create_app(settings)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, proxy_headers=False
        )
        server = _Server(config, app.state.context.streams.close)
        _leave_signals_to(server)
        worker = WorkerProcess(settings)
        worker.start()
        try:
            _announce(listener, key)
            server.run(sockets=[listener])
        finally:
            worker.stop()
    if not server.started:
        raise CommandFailed("The service could not start; the log above says why.")


def work() -> None:
    """Run a worker alone, in the foreground."""
    os.execv(sys.executable, [sys.executable, "-m", "worker.supervisor"])  # noqa: S606


class _Server(uvicorn.Server):
    """Ends the streams of jobs with the first signal: they have no end of their own that the shutdown could wait for."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does while the server runs."""
        self._end_streams()
        super().handle_exit(sig, frame)


class WorkerProcess:
    """The supervisor as a child process, started again whenever it dies.

    Its standard input is a pipe that only this process holds open: where this process is killed, the child reads the pipe's end
    and goes, and its runners with it.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = settings.environment()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="worker", daemon=True)

    def start(self) -> None:
        """Start the worker, and go on starting it."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker and wait for it; it is killed where it takes too long."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _keep_running(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "worker.supervisor", "--follow-stdin"],
                    stdin=subprocess.PIPE,
                    env=self._environment,
                    # A Ctrl-C at the terminal reaches the server alone, which then ends the worker in order.
                    start_new_session=True,
                )
            status = self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
            if not self._stopping.wait(_RESTART_SECONDS):
                sys.stderr.write(f"The worker ended with status {status}; starting it again.\n")


def _listen(host: str, port: int) -> socket.socket:
    """A socket of the server's, taken before anything else is done, so that a taken port changes nothing."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CommandFailed(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


def _first_key(settings: Settings) -> str | None:
    """Make the key that RFT_API_KEY asks for, or the very first one, which is returned to be shown once."""
    with key_store() as keys:
        if settings.api_key:
            keys.create(DEFAULT_PROJECT, "RFT_API_KEY", secret=settings.api_key)
            return None
        return None if keys.list(DEFAULT_PROJECT) else keys.create(DEFAULT_PROJECT, "first start")[1]


def _announce(listener: socket.socket, key: str | None) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"base_url  http://{shown}:{port}/v1")
    if key is not None:
        typer.echo(f"api_key   {key}   (shown this once)")
    # What is no terminal may be a log that others read: there the link lets nobody in.
    fragment = _sign_in_fragment() if sys.stdout.isatty() else ""
    typer.echo(f"dashboard http://{shown}:{port}/dashboard{fragment}")
    sys.stdout.flush()


def _sign_in_fragment() -> str:
    """What makes the dashboard's address a link that signs one browser in, once and for some minutes; empty without a key."""
    from core.security.keys import KeyStore
    from core.security.sessions import SessionStore

    with database() as found:
        keys = [key for key in KeyStore(found).list_good(DEFAULT_PROJECT) if not key.scopes]
        return f"#link={SessionStore(found).make_link(DEFAULT_PROJECT, keys[0].id)}" if keys else ""


def _leave_signals_to(server: uvicorn.Server) -> None:
    """End the server and go on from there: uvicorn raises a signal again after its shutdown, which would end us too soon."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
