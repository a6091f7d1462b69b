from __future__ import annotations

from collections.abc import Iterator

import pytest

from graders.sandbox.client import SandboxClient


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "plain"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    client = SandboxClient(wall_seconds=60, memory_bytes=300 << 20, namespaces=request.param)
    yield client
    client.close()


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "plain"])
def hasty(request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    """One that waits two seconds only."""
    client = SandboxClient(wall_seconds=2, namespaces=request.param)
    yield client
    client.close()
