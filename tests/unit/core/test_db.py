from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from core.db import Database, normalised
from core.errors import StorageFull, Unavailable
from core.projects import ensure_default_project
from core.schema import migrate
from core.settings import DEFAULT_PROJECT
from core.tables import ProjectRow


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'data' / 'touchstone.db'}"
    migrate(url)
    database = Database(url)
    yield database
    database.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_is_reached_through_psycopg_3(scheme: str) -> None:
    assert normalised(f"{scheme}://u:p@h:1/db").render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h:1/db"


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30000)]
)
def test_sqlite_is_configured_on_every_connection(database: Database, pragma: str, value: object) -> None:
    with database.read() as session:
        assert session.scalar(text(f"PRAGMA {pragma}")) == value


def test_full_disk_is_told_and_leaves_nothing(database: Database) -> None:
    def fill() -> None:
        with database.begin() as session:
            pages = session.scalar(text("PRAGMA page_count"))
            session.execute(text(f"PRAGMA max_page_count = {pages}"))
            session.add_all(ProjectRow(project_id=f"proj_{number}", name="x" * 200, created_at=0.0) for number in range(200))

    with pytest.raises(StorageFull):
        fill()
    with database.read() as session:
        assert session.get(ProjectRow, "proj_0") is None


def test_writer_that_cannot_get_the_lock_is_told_to_come_again(database: Database) -> None:
    with database.begin() as first:
        first.execute(text("SELECT 1"))
        with database.read() as session:
            session.execute(text("SELECT 1"))
        other = Database(database.url.render_as_string())

        def write() -> None:
            with other.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            with other.begin() as session:
                session.execute(text("SELECT 1"))

        with pytest.raises(Unavailable):
            write()
        other.dispose()


def test_unreachable_server_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable), database.read() as session:
        session.execute(text("SELECT 1"))


def test_injected_clock_is_the_time(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'clock.db'}", clock=lambda: 12.5)
    with database.read() as session:
        assert database.time(session) == 12.5
    database.dispose()


COMMIT_AND_DIE = """
import os, sys
from core.db import Database
from core.projects import ensure_default_project
ensure_default_project(Database(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


def test_commit_survives_the_death_of_its_process(database: Database) -> None:
    root = Path(__file__).parents[3]
    url = database.url.render_as_string()
    assert subprocess.run([sys.executable, "-c", COMMIT_AND_DIE, url], cwd=root).returncode == -9
    with database.read() as session:
        assert session.get(ProjectRow, DEFAULT_PROJECT) is not None


def test_default_project_may_be_there_already(database: Database) -> None:
    ensure_default_project(database)
    ensure_default_project(database)
    with database.read() as session:
        assert session.get_one(ProjectRow, DEFAULT_PROJECT).name == "Default"
