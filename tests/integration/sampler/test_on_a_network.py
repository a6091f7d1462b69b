"""`rft sampler`: one model server for all, behind a token."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.chat.client import SamplerClient, SamplerFailed
from core.sampler import RemoteSampler, sampler_service
from core.settings import Settings
from graders.judges.transports import SamplerTransport
from tests.integration.sampler.conftest import PROMPT, Sampler, environment

TOKEN = "a-secret-of-the-service"


@pytest.fixture(scope="module")
def url(settings: Settings, sampler: Sampler) -> Iterator[str]:
    """A sampler of the same data that listens on a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cli.main", "sampler", "--port", str(port), "--follow-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**environment(settings), "RFT_SAMPLER_TOKEN": TOKEN}) as process:
        while not answers(f"http://127.0.0.1:{port}/livez"):
            assert process.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).is_success
    except httpx2.TransportError:
        return False


def request(sampler: Sampler) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": PROMPT,
        "max_tokens": 8,
        "temperature": 0,
        "touchstone": {"base_model": "tiny", "manifest_key": sampler.manifest_key},
    }


def test_who_has_no_token_is_refused(url: str, sampler: Sampler) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
        for path in ("/v1/chat/completions", "/internal/merge", "/nothing"):
            reply = httpx2.post(f"{url}{path}", json=request(sampler), headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


def test_the_api_chats_over_the_network(url: str, sampler: Sampler) -> None:
    async def chat() -> tuple[Any, list[Any]]:
        client = SamplerClient(RemoteSampler(url, TOKEN))
        try:
            return await client.chat(request(sampler)), [
                chunk async for chunk in client.stream({**request(sampler), "stream": True})
            ]
        finally:
            await client.close()

    whole, chunks = asyncio.run(chat())
    said = whole["choices"][0]["message"]["content"]
    assert said == "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def test_a_merged_model_comes_over_the_network(url: str, sampler: Sampler) -> None:
    async def fetch() -> tuple[int, bytes]:
        client = SamplerClient(RemoteSampler(url, TOKEN))
        try:
            download = await client.merged("tiny", sampler.manifest_key)
            content = b"".join([piece async for piece in download.pieces])
            await download.close()
            return download.size, content
        finally:
            await client.close()

    size, content = asyncio.run(fetch())
    assert len(content) == size
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert {"config.json", "model.safetensors"} <= set(archive.getnames())


def test_a_wrong_token_of_ours_is_a_failure_and_no_answer(url: str, sampler: Sampler) -> None:
    async def chat() -> None:
        client = SamplerClient(RemoteSampler(url, "another-secret-of-somebody"))
        try:
            await client.chat(request(sampler))
        finally:
            await client.close()

    with pytest.raises(SamplerFailed, match="its own service"):
        asyncio.run(chat())


def test_judges_ask_over_the_network(url: str) -> None:
    reply = SamplerTransport(RemoteSampler(url, TOKEN), "tiny").complete({"messages": PROMPT, "max_tokens": 4}, timeout=120)
    assert reply.status == 200


def test_the_settings_name_it(settings: Settings) -> None:
    named = settings.model_copy(update={"sampler_url": "http://sampler:8001", "sampler_token": TOKEN})
    assert sampler_service(named) == RemoteSampler("http://sampler:8001", TOKEN)


def test_it_does_not_start_without_a_token(settings: Settings) -> None:
    command = [sys.executable, "-m", "cli.main", "sampler", "--port", "1"]
    done = subprocess.run(command, env=environment(settings), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1
    assert "RFT_SAMPLER_TOKEN is not set" in done.stderr
