"""What the rest of the service relies on from `core.db`, on both databases."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text

from core.db import Database
from core.errors import InvalidRequest, Unavailable
from core.projects import ensure_default_project
from core.schema import migrate, usable
from core.settings import DEFAULT_PROJECT
from core.tables import Base, JobRow, ProjectRow


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(ProjectRow.name).order_by(ProjectRow.name)))


def test_migrated_schema_equals_the_tables(empty_url: str) -> None:
    migrate(empty_url)
    database = Database(empty_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    database = Database(empty_url)
    ensure_default_project(database)
    migrate(empty_url)
    assert names(database) == ["Default"]
    database.dispose()


def test_usable_tells_migrated_from_empty(empty_url: str) -> None:
    database = Database(empty_url)
    before = usable(database)
    migrate(empty_url)
    assert (before, usable(database)) == (False, True)
    database.dispose()


@pytest.mark.parametrize(("revision", "good"), [("0001", False), ("0999_of_the_next_version", True)])
def test_usable_refuses_older_schemas_and_takes_newer_ones(empty_url: str, revision: str, good: bool) -> None:
    migrate(empty_url)
    database = Database(empty_url)
    with database.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    assert usable(database) is good
    database.dispose()


def start(url: str) -> bool:
    """What each process of the service does first."""
    migrate(url)
    database = Database(url)
    ensure_default_project(database)
    try:
        return usable(database)
    finally:
        database.dispose()


def test_processes_may_start_together(empty_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(start, [empty_url] * 4)) == [True] * 4


def test_default_project_is_made_once(database: Database) -> None:
    ensure_default_project(database)
    with database.read() as session:
        rows = session.scalars(select(ProjectRow).where(ProjectRow.project_id == DEFAULT_PROJECT)).all()
    assert len(rows) == 1


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.begin() as session:
            session.add(ProjectRow(project_id="proj_new", name="New", created_at=0.0))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert "New" not in names(database)


def test_reading_keeps_nothing(database: Database) -> None:
    with database.read() as session:
        session.add(ProjectRow(project_id="proj_new", name="New", created_at=0.0))
        session.flush()
    assert "New" not in names(database)


def test_database_clock_tells_unix_seconds(database_url: str) -> None:
    database = Database(database_url)
    earliest = time.time()
    with database.read() as session:
        told = database.time(session)
    # SQLite's clock has whole milliseconds.
    assert earliest - 0.002 <= told <= time.time() + 0.002
    database.dispose()


def test_text_that_postgres_cannot_hold_is_refused(migrated_postgres: str) -> None:
    database = Database(migrated_postgres)
    with pytest.raises(InvalidRequest, match="cannot be stored"), database.read() as session:
        session.scalar(select(JobRow).where(JobRow.id == "ftjob-\x00"))
    database.dispose()


def test_nan_is_no_json(database: Database) -> None:
    with pytest.raises(Exception, match="not JSON compliant"), database.begin() as session:
        session.execute(select(func.count()).where(JobRow.plan == {"value": float("nan")}))


def test_postgres_that_only_reads_is_unavailable(postgres_database: str) -> None:
    """As a standby is to which a fail-over has brought the connection."""
    migrate(postgres_database)
    mark = "&" if "?" in postgres_database else "?"
    standby = Database(f"{postgres_database}{mark}options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(Unavailable):
        ensure_default_project(standby)
    standby.dispose()


def test_transaction_of_postgres_that_nobody_goes_on_with_is_ended(postgres_database: str) -> None:
    """Its process may be frozen: its locks must not outlast it for ever."""
    database = Database(postgres_database)
    with database.read() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "1min"
    database.dispose()
