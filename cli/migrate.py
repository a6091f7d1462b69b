"""`rft migrate`: the database, brought to this version's schema before the processes that use it start."""

from __future__ import annotations

import typer

from cli.keys import database


def migrate() -> None:
    """Bring the database (RFT_DATABASE_URL) to this version's schema. Processes that do so at the same time take turns."""
    with database():
        typer.echo("the database is ready")
