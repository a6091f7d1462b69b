"""The database's schema: brought up to date, and whether this code can work on the one that is there.

Apart from `core.db`, so that only those who ask for it import Alembic: most processes start without.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select

from core.db import Database

MIGRATION_LOCK = 7_036_874_417
"""Key of the advisory lock that lets one process migrate a PostgreSQL database at a time."""


def migrate(database_url: str) -> None:
    """Bring the database's schema to the newest revision, creating SQLite's directory and file where missing.

    Processes that start together take turns: one migrates, the others find the work done.
    """
    database = Database(database_url)
    try:
        with database.begin() as session:
            if not database.embedded:
                session.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config = alembic_config()
            config.attributes["connection"] = session.connection()
            command.upgrade(config, "head")
    finally:
        database.dispose()


def usable(database: Database) -> bool:
    """Whether this code can work on the schema: it is at this code's newest revision, or was migrated beyond it.

    Migrations only ever add, so that processes of the version before go on while, and after, the database is upgraded.
    """
    with database.read() as session:
        revision = MigrationContext.configure(session.connection()).get_current_revision()
    return revision is not None and (revision == _head() or revision not in _revisions())


@lru_cache(maxsize=1)
def _revisions() -> frozenset[str]:
    """Every revision that this code knows."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


@lru_cache(maxsize=1)
def _head() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> Config:
    """Alembic's configuration for the `migrations` package, wherever it is installed."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
