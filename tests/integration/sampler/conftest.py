"""A sampler process on the tiny model, and one adapter in its object store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch

from core.processes import SocketService
from core.settings import Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.build import open_store
from tests.models import tiny_model
from worker.policy.lora import Adapter
from worker.policy.model import load_model

ROOT = Path(__file__).resolve().parents[3]
PROMPT = [{"role": "user", "content": "Tell me of the sea."}]


@dataclass(frozen=True)
class Sampler:
    """What a test needs: the running server, and on disk what it serves."""

    http: httpx.Client
    socket: Path
    model: Path
    adapter: Path
    manifest_key: str

    def chat(self, *, status: int = 200, manifest_key: str | None = None, base: str = "tiny", **fields: Any) -> Any:
        """The reply to a chat request."""
        target = {"base_model": base, "manifest_key": manifest_key}
        body = {"model": "any", "messages": PROMPT, "max_tokens": 24, "touchstone": target, **fields}
        reply = self.http.post("/v1/chat/completions", json=body)
        assert reply.status_code == status, reply.text
        return reply.json()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("sampler")
    tiny_model(directory / "tiny")
    models = directory / "models.yaml"
    models.write_text(
        "models: {tiny: {source: ./tiny}, short: {source: ./tiny, max_model_len: 64}, absent: {source: org/absent}}"
    )
    return Settings(data_dir=directory / "data", models=models, threads=1)


@pytest.fixture(scope="session")
def sampler(settings: Settings) -> Iterator[Sampler]:
    model = settings.data_dir.parent / "tiny"
    adapter = _random_adapter(model, settings.data_dir.parent / "adapter")
    key = manifest.write(open_store(settings.object_store_url), ObjectKey.of("proj_default", "ckpt"), adapter, {})
    service = SocketService(
        [sys.executable, "-m", "worker.sampler", "--socket", "{socket}", "--follow-stdin"], env=environment(settings)
    )
    socket = service.ensure()
    with connect(socket) as http:
        yield Sampler(http, socket, model, adapter, str(key))
    service.close()


def connect(socket: Path) -> httpx.Client:
    """A client of the sampler that listens there."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://sampler", timeout=120)


def environment(settings: Settings) -> dict[str, str]:
    """Of a child process with these settings."""
    return {**settings.environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def start(settings: Settings, socket: Path) -> subprocess.Popen[bytes]:
    """A sampler of one's own, which follows a pipe."""
    argv = [sys.executable, "-m", "worker.sampler", "--socket", str(socket), "--follow-stdin"]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment(settings))


def _random_adapter(model: Path, directory: Path) -> Path:
    weights = load_model(model).weights
    generator = torch.Generator().manual_seed(5)
    adapter = Adapter.fresh(weights, 4, 8.0, generator)
    for layer in adapter.layers:
        for linear in layer.values():
            for part in linear.b:
                part.copy_(torch.randn(part.shape, generator=generator) * 0.2)
    adapter.write(directory, "tiny")
    return directory
