"""The chores that clear away: files and uploads whose time has come. What jobs leave is in `retention` and `orphans`.

A row goes before its object: whatever is killed in between leaves objects without a row, which `OrphanObjects` finds later. Two
sweepers at once share the work or delete the same object twice, which is harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, delete, func, select, update

from core.db import Database
from core.jobs.sql_journal import RESULTS_PURPOSE
from core.storage.base import ObjectKey, ObjectStore
from core.tables import FileRow, UploadPartRow, UploadRow
from core.upload_types import UploadStatus
from worker.light.base import Swept

log = logging.getLogger("worker.light.sweep")

EXPIRY_SECONDS = 60.0
UPLOAD_KEPT_SECONDS = 24 * 3600.0
"""How long an upload that has ended can still be asked for, so that a late repetition of its completion is understood."""
DAY = 86400.0
AT_ONCE = 500

Row = tuple[str, int | None]
"""An object's key, and its bytes where known."""


class DueFiles:
    """Deletes files that are due: clients do not see them any more."""

    def __init__(
        self, database: Database, objects: ObjectStore, *, name: str, every: float, due: Callable[[], ColumnElement[bool]]
    ) -> None:
        self.name = name
        self.every = every
        self._database = database
        self._objects = objects
        self._due = due

    def run(self) -> None:
        """All that are due by now."""
        self.sweep()

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """All that are due by now."""
        if dry_run:
            with self._database.read() as session:
                query = select(func.count(), func.sum(FileRow.bytes)).where(self._due())
                return Swept(*(int(value or 0) for value in session.execute(query).one()))
        return delete_all(self.name, self._next, lambda key: self._objects.delete(ObjectKey.parse(key)))

    def _next(self) -> Sequence[Row]:
        """Remove the rows of some; their objects."""
        with self._database.begin() as session:
            due = select(FileRow.id).where(self._due()).limit(AT_ONCE).with_for_update(skip_locked=True)
            gone = delete(FileRow).where(FileRow.id.in_(due)).returning(FileRow.object_key, FileRow.bytes)
            return [(key, size) for key, size in session.execute(gone)]


def expired_files(database: Database, objects: ObjectStore) -> DueFiles:
    """Files whose `expires_after` has passed."""
    due = lambda: FileRow.expires_at <= database.now  # noqa: E731
    return DueFiles(database, objects, name="expired files", every=EXPIRY_SECONDS, due=due)


def old_results(database: Database, objects: ObjectStore, days: float) -> DueFiles:
    """Result files of jobs, this long after they were written."""

    def due() -> ColumnElement[bool]:
        return (FileRow.purpose == RESULTS_PURPOSE) & (FileRow.created_at <= database.now - days * DAY)

    return DueFiles(database, objects, name="old results", every=3600.0, due=due)


class ExpiredUploads:
    """Ends uploads that have expired and deletes their parts; forgets uploads that ended long ago."""

    name = "expired uploads"
    every = EXPIRY_SECONDS

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def run(self) -> None:
        """All that have expired by now."""
        self.sweep()

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """All that have expired by now."""
        if dry_run:
            return self._found()
        self._expire()
        swept = delete_all(self.name, self._next_parts, lambda key: self._objects.delete(ObjectKey.parse(key)))
        self._forget()
        return swept

    def _due(self) -> ColumnElement[bool]:
        return (UploadRow.status == UploadStatus.PENDING) & (UploadRow.expires_at <= self._database.now)

    def _found(self) -> Swept:
        expired = select(UploadRow.id).where((UploadRow.status == UploadStatus.EXPIRED) | self._due())
        query = select(func.count(), func.sum(UploadPartRow.bytes)).where(UploadPartRow.upload_id.in_(expired))
        with self._database.read() as session:
            return Swept(*(int(value or 0) for value in session.execute(query).one()))

    def _expire(self) -> None:
        with self._database.begin() as session:
            session.execute(update(UploadRow).where(self._due()).values(status=UploadStatus.EXPIRED))

    def _next_parts(self) -> Sequence[Row]:
        expired = select(UploadRow.id).where(UploadRow.status == UploadStatus.EXPIRED)
        some = select(UploadPartRow.id).where(UploadPartRow.upload_id.in_(expired)).limit(AT_ONCE)
        with self._database.begin() as session:
            parts = delete(UploadPartRow).where(UploadPartRow.id.in_(some.with_for_update(skip_locked=True)))
            return [(key, size) for key, size in session.execute(parts.returning(UploadPartRow.object_key, UploadPartRow.bytes))]

    def _forget(self) -> None:
        ended = UploadRow.status != UploadStatus.PENDING
        long_ago = UploadRow.expires_at <= self._database.now - UPLOAD_KEPT_SECONDS
        with self._database.begin() as session:
            session.execute(delete(UploadRow).where(ended, long_ago))


def delete_all(name: str, take: Callable[[], Sequence[Row]], remove: Callable[[str], None]) -> Swept:
    """Remove the objects of the rows that `take` deletes, until it finds none."""
    swept = Swept()
    while rows := take():
        for key, size in rows:
            remove(key)
            swept += Swept(1, size)
    if swept.count:
        log.info("%s: %d deleted", name, swept.count)
    return swept
