"""One served world for all of the suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.compat.world import World, opened


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RFT_", "OPENAI_"))]:
            patch.delenv(name)
        with opened(tmp_path_factory.mktemp("compat")) as world:
            yield world
