"""One engine for most tests: starting one takes the better part of a minute. Collected only where vLLM is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.models import tiny_model

from .serving import Serving, serve

collect_ignore_glob = ["test_*.py"] if find_spec("vllm") is None else []


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with heads of a size that vLLM's attention has on CPUs."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), head_dim=32)


class Source:
    """Weights of whichever policy a test has put in."""

    policy: Any

    def save_checkpoint(self, directory: Path) -> None:
        self.policy.save_checkpoint(directory)


@pytest.fixture(scope="session")
def source() -> Source:
    return Source()


@pytest.fixture(scope="session")
def restarts() -> list[str]:
    """What the engine said of its restarts."""
    return []


@pytest.fixture(scope="session")
def engines(directory: Path, source: Source, restarts: list[str]) -> Iterator[dict[str, Any]]:
    """Engines made so far, by how they get their weights."""
    made: dict[str, Any] = {}
    yield made
    for engine in made.values():
        engine.close()


@pytest.fixture(scope="session")
def serving(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A `vllm serve` of the tiny model."""
    serving, process = serve(directory, tmp_path_factory.mktemp("serve"))
    yield serving
    process.terminate()
    process.wait(60)
