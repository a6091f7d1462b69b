"""One inhabited instance for all tests that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openapi.world import World, inhabited


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with inhabited(tmp_path_factory.mktemp("inhabited")) as world:
        yield world
