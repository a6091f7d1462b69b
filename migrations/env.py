"""Runs the migrations: on the connection that `core.schema.migrate` brings, or for Alembic's own command on the settings' one."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from core.db import Database
from core.settings import get_settings
from core.tables import Base


def run(connection: Connection) -> None:
    """Run what is missing; SQLite alters tables by copying them (`render_as_batch`)."""
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def run_configured() -> None:
    """Run on the database of the settings."""
    database = Database(get_settings().database_url)
    with database.engine.begin() as connection:
        run(connection)
    database.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    run_configured()
