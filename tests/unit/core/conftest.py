"""A migrated database, SQLite and PostgreSQL in turn, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.db import Database, migrate
from tests.clock import Clock


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'core.db'}"
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A migrated database. Tests share SQLite's, each with projects of its own."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    url = str(request.getfixturevalue("postgres_database"))
    migrate(url)
    return url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(url: str, clock: Clock) -> Iterator[Database]:
    database = Database(url, clock=clock)
    yield database
    database.dispose()
