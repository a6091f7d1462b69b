"""Every implementation of the database, migrated once a session and emptied before each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from core.db import Database
from core.projects import ensure_default_project
from core.schema import migrate
from core.tables import Base, ProjectRow

from .parts import FOREIGN_PROJECT, Clock, Parts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'touchstone.db'}"
    migrate(url)
    return url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    name = f"contract_{uuid.uuid4().hex}"
    server = postgres_url.replace("postgresql+psycopg://", "postgresql://", 1)
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    migrate(url)
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without a row."""
    url: str = request.getfixturevalue(f"migrated_{request.param}")
    database = Database(url)
    with database.begin() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    database.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table; SQLite's directory does not even exist."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'touchstone.db'}"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """A migrated database with two projects, under the test's clock."""
    database = Database(database_url, clock=clock)
    ensure_default_project(database)
    with database.begin() as session:
        session.add(ProjectRow(project_id=FOREIGN_PROJECT, name="Foreign", created_at=clock()))
    yield database
    database.dispose()


@pytest.fixture
def parts(database: Database, clock: Clock) -> Parts:
    return Parts.over(database, clock)
