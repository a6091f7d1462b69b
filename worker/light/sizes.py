"""Sizes of rollouts, training states and checkpoints that a worker of an older version kept without telling them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sqlalchemy import select, tuple_, update

from core.db import Database
from core.errors import CorruptObject
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from core.tables import ProjectRow
from worker.light.retention import CHECKPOINTS, ROLLOUTS, STATES, Kind
from worker.light.sweep import AT_ONCE


class FillSizes:
    """Looks up what objects take, so that limits of stored bytes count them. What is missing or damaged takes nothing."""

    name = "sizes"
    every = 3600.0

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def run(self) -> None:
        """All that have none."""
        with self._database.read() as session:
            projects = session.scalars(select(ProjectRow.project_id)).all()
        for project_id in projects:
            for kind in (ROLLOUTS, STATES, CHECKPOINTS):
                while rows := self._next(kind, project_id):
                    self._fill(kind, rows)

    def _next(self, kind: Kind, project_id: str) -> Sequence[tuple[tuple[object, ...], str]]:
        """Primary keys of rows without a size, and what names their objects."""
        table = kind.table
        query = select(*table.__table__.primary_key, kind.key).where(table.project_id == project_id, table.bytes.is_(None))
        with self._database.read() as session:
            return [(tuple(row[:-1]), str(row[-1])) for row in session.execute(query.limit(AT_ONCE))]

    def _fill(self, kind: Kind, rows: Sequence[tuple[tuple[object, ...], str]]) -> None:
        sizes = [(primary, self._size(kind, ObjectKey.parse(key))) for primary, key in rows]
        primary_key = tuple_(*kind.table.__table__.primary_key)
        with self._database.begin() as session:
            for primary, size in sizes:
                session.execute(update(kind.table).where(primary_key == primary).values(bytes=size))

    def _size(self, kind: Kind, key: ObjectKey) -> int:
        try:
            if kind is ROLLOUTS:
                with self._objects.open(key) as source:
                    return source.seek(0, os.SEEK_END)
            return sum(part.bytes for part in manifest.read(self._objects, key).parts)
        except (KeyError, CorruptObject):
            return 0
