"""Tiny models, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import tiny_model
from worker.policy.model import PolicyModel, load_model


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_directory: Path) -> PolicyModel:
    """Nobody writes to its weights."""
    return load_model(tiny_directory)
