"""One inhabited instance for all tests that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openapi.world import World, inhabited

CASES = pytest.StashKey[list[str]]()
"""What Schemathesis has run, a line for each time."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(CASES, []):
        terminalreporter.write_line(line)


@pytest.fixture
def told(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are shown at the end of the session."""
    return request.config.stash.setdefault(CASES, [])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with inhabited(tmp_path_factory.mktemp("inhabited")) as world:
        yield world
