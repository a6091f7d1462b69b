"""Projects: the owners of everything else."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.settings import DEFAULT_PROJECT
from core.tables import ProjectRow


def ensure_default_project(database: Database) -> None:
    """Create the project that everything belongs to as long as there is one only; does nothing where it exists."""
    with database.read() as session:
        if session.get(ProjectRow, DEFAULT_PROJECT) is not None:
            return
    try:
        with database.begin() as session:
            session.add(ProjectRow(project_id=DEFAULT_PROJECT, name="Default", created_at=database.time(session)))
    except IntegrityError:
        # A process that started at the same time was faster. Anything else wrong with the row shows here.
        with database.read() as session:
            session.get_one(ProjectRow, DEFAULT_PROJECT)
