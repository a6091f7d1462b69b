from __future__ import annotations

from collections.abc import Iterator

import pytest

from graders.sandbox.client import SandboxClient
from graders.sandbox.levels import Level

WALLED = (Level.PROCESS, Level.STRICT)


@pytest.fixture(scope="module", params=WALLED)
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    client = SandboxClient(wall_seconds=60, memory_bytes=300 << 20, level=request.param)
    yield client
    client.close()


@pytest.fixture(scope="module")
def hasty() -> Iterator[SandboxClient]:
    """One that waits two seconds only."""
    client = SandboxClient(wall_seconds=2, level=Level.STRICT)
    yield client
    client.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[SandboxClient]:
    """At the strongest level, with limits that are soon reached."""
    client = SandboxClient(wall_seconds=20, memory_bytes=300 << 20, level=Level.STRICT)
    yield client
    client.close()
