"""What the commands that serve HTTP share."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from cli.client import CommandFailed
from cli.keys import key_store
from core.settings import DEFAULT_PROJECT, Settings

GRACE_SECONDS = 5
"""What open requests may take after the end was asked for."""


class Server(uvicorn.Server):
    """Ends the streams of jobs with the first signal: they have no end of their own that the shutdown could wait for."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does while the server runs."""
        self._end_streams()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A socket of the server's, taken before anything else is done, so that a taken port changes nothing."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CommandFailed(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


def address(listener: socket.socket) -> str:
    """The root of the service's URLs."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def first_key(settings: Settings) -> str | None:
    """Make the key that RFT_API_KEY asks for, or the very first one, which is returned to be shown once."""
    with key_store() as keys:
        if settings.api_key:
            keys.create(DEFAULT_PROJECT, "RFT_API_KEY", secret=settings.api_key)
            return None
        return None if keys.list(DEFAULT_PROJECT) else keys.create(DEFAULT_PROJECT, "first start")[1]


def leave_signals_to(server: uvicorn.Server) -> None:
    """End the server and go on from there: uvicorn raises a signal again after its shutdown, which would end us too soon."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
