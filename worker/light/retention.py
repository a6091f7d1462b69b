"""What jobs leave behind, deleted some time after their end: training states by themselves, the rest where settings ask for it.

Nothing of a job that may still run is touched. A row goes before its objects: what a sweeper that is killed in between leaves are
objects without a row, for `OrphanObjects`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.orm import aliased

from core.db import Database
from core.jobs import state
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from core.tables import BatchRow, CheckpointPermissionRow, CheckpointRow, JobRow, StateRow, TunedModelRow
from worker.light.base import Swept
from worker.light.sweep import AT_ONCE, DAY, Row, delete_all


@dataclass(frozen=True)
class Kind:
    """One kind of things that jobs leave."""

    name: str
    table: Any
    key: Any
    """The column that names its object."""
    remove: Callable[[ObjectStore, ObjectKey], None]
    unused: Callable[[], ColumnElement[bool] | None] = lambda: None
    """Which of them nobody needs; all where it gives nothing."""


def _unused_checkpoint() -> ColumnElement[bool]:
    """Neither behind a tuned model, nor shared, nor the start of a job that is still to end."""
    following = aliased(JobRow)
    return ~(
        exists().where(TunedModelRow.checkpoint_id == CheckpointRow.id)
        | exists().where(CheckpointPermissionRow.checkpoint_id == CheckpointRow.id)
        | exists().where(following.initial_checkpoint_id == CheckpointRow.id, following.status.not_in(state.TERMINAL))
    )


STATES = Kind("training states of ended jobs", StateRow, StateRow.manifest_key, manifest.delete)
ROLLOUTS = Kind("old rollouts", BatchRow, BatchRow.object_key, lambda objects, key: objects.delete(key))
CHECKPOINTS = Kind("old checkpoints", CheckpointRow, CheckpointRow.manifest_key, manifest.delete, _unused_checkpoint)


class OfEndedJobs:
    """Deletes one kind of things, `days` after the end of their jobs."""

    every = 3600.0

    def __init__(self, database: Database, objects: ObjectStore, kind: Kind, days: float) -> None:
        self.name = kind.name
        self._database = database
        self._objects = objects
        self._kind = kind
        self._days = days

    def run(self) -> None:
        """All that are due by now."""
        self.sweep()

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """All that are due by now."""
        table = self._kind.table
        if dry_run:
            query = select(func.count(), func.sum(table.bytes)).join(JobRow, JobRow.id == table.job_id).where(*self._due())
            with self._database.read() as session:
                return Swept(*(int(value or 0) for value in session.execute(query).one()))
        return delete_all(self.name, self._next, lambda key: self._kind.remove(self._objects, ObjectKey.parse(key)))

    def _due(self) -> Sequence[ColumnElement[bool]]:
        unused = self._kind.unused()
        ended = (JobRow.status.in_(state.TERMINAL), JobRow.finished_at <= self._database.now - self._days * DAY)
        return ended if unused is None else (*ended, unused)

    def _next(self) -> Sequence[Row]:
        """Remove the rows of some; their objects."""
        table = self._kind.table
        primary = tuple_(*table.__table__.primary_key)
        due = select(*table.__table__.primary_key).join(JobRow, JobRow.id == table.job_id).where(*self._due()).limit(AT_ONCE)
        gone = delete(table).where(primary.in_(due.with_for_update(of=table, skip_locked=True)))
        with self._database.begin() as session:
            return [(key, size) for key, size in session.execute(gone.returning(self._kind.key, table.bytes))]
