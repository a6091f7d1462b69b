"""Which other projects may sample from a project's checkpoints. Nothing more: weights and jobs stay the owner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.jobs.models import find_checkpoint
from core.jobs.sql_store import unknown_cursor
from core.jobs.types import Page
from core.tables import CheckpointPermissionRow, ProjectRow


@dataclass(frozen=True)
class Permission:
    """One project's right to sample from one checkpoint, by each of the checkpoint's names."""

    id: str
    granted_to: str
    created_at: float


class PermissionStore:
    """The permissions on checkpoints that one project owns. Names of models it does not own raise `NotFound`."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._database = database
        self._project_id = project_id

    def grant(self, model_name: str, projects: Sequence[str]) -> tuple[Permission, ...]:
        """A permission for each project, in their order; one that exists stays as it is.

        Raises `InvalidRequest` naming the first project that does not exist; nothing is granted then.
        """
        checkpoint_id = self._checkpoint(model_name)
        wanted = list(dict.fromkeys(projects))
        with self._database.begin() as session:
            now = self._database.time(session)
            self._check_projects(session, wanted)
            return tuple(self._granted(session, checkpoint_id, project, now) for project in wanted)

    def list(
        self,
        model_name: str,
        *,
        after: str | None = None,
        limit: int = 10,
        ascending: bool = False,
        granted_to: str | None = None,
    ) -> Page[Permission]:
        """The permissions on a checkpoint by time, those after the permission `after`; newest first unless `ascending`."""
        place = (CheckpointPermissionRow.created_at, CheckpointPermissionRow.id)
        query = select(CheckpointPermissionRow).where(
            CheckpointPermissionRow.project_id == self._project_id,
            CheckpointPermissionRow.checkpoint_id == self._checkpoint(model_name),
        )
        if granted_to is not None:
            query = query.where(CheckpointPermissionRow.granted_to == granted_to)
        with self._database.read() as session:
            if after is not None:
                last = session.scalar(query.where(CheckpointPermissionRow.id == after))
                if last is None:
                    raise unknown_cursor(after)
                there = tuple_(last.created_at, last.id)
                query = query.where(tuple_(*place) > there if ascending else tuple_(*place) < there)
            query = query.order_by(*(column.asc() if ascending else column.desc() for column in place))
            rows = session.scalars(query.limit(limit + 1)).all()
        return Page(tuple(_permission(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def revoke(self, model_name: str, permission_id: str) -> None:
        """Take a permission away, at once. Raises `NotFound`."""
        checkpoint_id = self._checkpoint(model_name)
        with self._database.begin() as session:
            row = session.get(CheckpointPermissionRow, permission_id)
            if row is None or (row.project_id, row.checkpoint_id) != (self._project_id, checkpoint_id):
                message = f"Could not find checkpoint permission: {permission_id}"
                raise NotFound(message, param="permission_id", code="checkpoint_permission_not_found")
            session.delete(row)

    def _checkpoint(self, model_name: str) -> str:
        return find_checkpoint(self._database, self._project_id, model_name).id

    def _check_projects(self, session: Session, projects: Sequence[str]) -> None:
        for index, project in enumerate(projects):
            if session.get(ProjectRow, project) is None:
                message = f"Invalid value for 'project_ids[{index}]': there is no project '{project}'."
                raise InvalidRequest(message, param=f"project_ids[{index}]", code="invalid_value")

    def _granted(self, session: Session, checkpoint_id: str, project: str, now: float) -> Permission:
        query = select(CheckpointPermissionRow).where(
            CheckpointPermissionRow.checkpoint_id == checkpoint_id, CheckpointPermissionRow.granted_to == project
        )
        row = session.scalar(query)
        if row is None:
            row = CheckpointPermissionRow(
                id=new_id("cp_"), project_id=self._project_id, checkpoint_id=checkpoint_id, granted_to=project, created_at=now
            )
            session.add(row)
            session.flush()
        return _permission(row)


def _permission(row: CheckpointPermissionRow) -> Permission:
    return Permission(id=row.id, granted_to=row.granted_to, created_at=row.created_at)
