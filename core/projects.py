"""Projects: the owners of everything else, and what each may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound, WrongState
from core.ids import new_id
from core.settings import DEFAULT_PROJECT
from core.tables import ProjectRow

MAX_NAME = 255
LIMITS = ("requests_per_minute", "max_running_jobs", "max_waiting_jobs", "max_stored_bytes")
MAX_LIMIT = 2**62


@dataclass(frozen=True)
class Project:
    """A project; times are unix seconds. A limit that is None is the service's default."""

    id: str
    name: str
    created_at: float
    archived_at: float | None
    requests_per_minute: int | None
    max_running_jobs: int | None
    max_waiting_jobs: int | None
    max_stored_bytes: int | None


class ProjectStore:
    """All projects of the service: for administrators, never for a project's own key. Unknown ids raise `NotFound`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> Project:
        """A new project; raises `InvalidRequest` for a name that is none."""
        _check_name(name)
        with self._database.begin() as session:
            row = ProjectRow(project_id=new_id("proj_"), name=name, created_at=self._database.time(session))
            session.add(row)
            session.flush()
            return _project(row)

    def get(self, project_id: str) -> Project:
        """The project as it stands."""
        with self._database.read() as session:
            return _project(_row(session, project_id))

    def list(self, *, include_archived: bool = False) -> tuple[Project, ...]:
        """The projects, newest first."""
        query = select(ProjectRow).order_by(ProjectRow.created_at.desc(), ProjectRow.project_id.desc())
        if not include_archived:
            query = query.where(ProjectRow.archived_at.is_(None))
        with self._database.read() as session:
            return tuple(_project(row) for row in session.scalars(query))

    def rename(self, project_id: str, name: str) -> Project:
        """Give the project another name; raises `InvalidRequest` for a name that is none."""
        _check_name(name)
        with self._database.begin() as session:
            row = _row(session, project_id, lock=True)
            row.name = name
            return _project(row)

    def archive(self, project_id: str) -> Project:
        """Close the project: its keys open nothing any more. What it owns stays. Raises `WrongState` for the default project."""
        if project_id == DEFAULT_PROJECT:
            raise WrongState("The default project cannot be archived.", param="project_id")
        with self._database.begin() as session:
            row = _row(session, project_id, lock=True)
            row.archived_at = row.archived_at or self._database.time(session)
            return _project(row)

    def set_limits(self, project_id: str, limits: Mapping[str, int | None]) -> Project:
        """Set the limits named (of `LIMITS`), None for the service's default; raises `InvalidRequest`."""
        for name, value in limits.items():
            least = 1 if name == "requests_per_minute" else 0
            if value is not None and not least <= value <= MAX_LIMIT:
                message = f"Invalid value for '{name}': it should be at least {least}."
                raise InvalidRequest(message, param=name, code="invalid_value")
        with self._database.begin() as session:
            row = _row(session, project_id, lock=True)
            for name in LIMITS:
                if name in limits:
                    setattr(row, name, limits[name])
            return _project(row)


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


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        message = f"Invalid value for 'name': it should be 1 to {MAX_NAME} printable characters."
        raise InvalidRequest(message, param="name", code="invalid_value")


def _row(session: Session, project_id: str, *, lock: bool = False) -> ProjectRow:
    query = select(ProjectRow).where(ProjectRow.project_id == project_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"No such project: {project_id}", param="project_id")
    return row


def _project(row: ProjectRow) -> Project:
    return Project(
        id=row.project_id,
        name=row.name,
        created_at=row.created_at,
        archived_at=row.archived_at,
        requests_per_minute=row.requests_per_minute,
        max_running_jobs=row.max_running_jobs,
        max_waiting_jobs=row.max_waiting_jobs,
        max_stored_bytes=row.max_stored_bytes,
    )
