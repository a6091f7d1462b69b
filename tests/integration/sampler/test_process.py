from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from core.lifeline import OWNER_GONE
from core.models import ModelRegistry
from core.settings import Settings
from core.storage.build import open_store
from tests.integration.sampler.conftest import PROMPT, Sampler, connect, start
from worker.sampler.engine import Engine
from worker.sampler.server import SamplerApp


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "any", "messages": PROMPT, "max_tokens": 400, "touchstone": {"base_model": "tiny"}, **fields}


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Engine:
    store = open_store(settings.object_store_url)
    return Engine(ModelRegistry.load(settings), store, merged_directory=settings.data_dir / "merged")


def test_it_ends_when_its_owner_is_gone(settings: Settings, tmp_path: Path) -> None:
    process = start(settings, tmp_path / "s")
    while not (tmp_path / "s").exists():
        assert process.poll() is None
        time.sleep(0.05)
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(60) == OWNER_GONE


def test_its_socket_is_for_its_user_alone(settings: Settings, tmp_path: Path) -> None:
    process = start(settings, tmp_path / "s")
    try:
        while not (tmp_path / "s").exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    finally:
        process.kill()
        process.communicate()


def test_it_is_alive_while_it_samples(sampler: Sampler) -> None:
    with sampler.http.stream("POST", "/v1/chat/completions", json=body(stream=True)) as reply:
        next(reply.iter_lines())
        with connect(sampler.socket) as another:
            assert another.get("/livez").json() == {"status": "ok"}


async def _hang_up(engine: Engine, **fields: Any) -> list[dict[str, Any]]:
    """What the app sends to a client that hangs up as soon as its request is read."""
    messages = iter([{"type": "http.request", "body": json.dumps(body(**fields)).encode(), "more_body": False}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    app = SamplerApp(engine).asgi()
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent


def test_nothing_is_said_to_a_client_that_hung_up(engine: Engine) -> None:
    assert asyncio.run(_hang_up(engine))[0]["status"] == 499
