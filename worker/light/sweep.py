"""The chores that clear away: files and uploads whose time has come, and objects that no row names.

A row goes before its object: whatever is killed in between leaves objects without a row, which `OrphanObjects` finds later. Two
sweepers at once share the work or delete the same object twice, which is harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import delete, select, update

from core.db import Database
from core.storage.base import ObjectKey, ObjectStore
from core.tables import FileRow, UploadPartRow, UploadRow
from core.upload_types import UploadStatus
from worker.light.base import Chore
from worker.light.orphans import OrphanObjects

log = logging.getLogger("worker.light.sweep")

EXPIRY_SECONDS = 60.0
UPLOAD_KEPT_SECONDS = 24 * 3600.0
"""How long an upload that has ended can still be asked for, so that a late repetition of its completion is understood."""
_AT_ONCE = 500


def sweep_chores(database: Database, objects: ObjectStore) -> list[Chore]:
    """What clears away."""
    return [ExpiredFiles(database, objects), ExpiredUploads(database, objects), OrphanObjects(database, objects)]


class ExpiredFiles:
    """Deletes files that have expired: clients do not see them any more."""

    name = "expired files"
    every = EXPIRY_SECONDS

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def run(self) -> None:
        """All that have expired by now."""
        while keys := self._next():
            _delete(self._objects, keys)
            log.info("%d expired files deleted", len(keys))

    def _next(self) -> Sequence[str]:
        """Remove the rows of some; the keys of their objects."""
        with self._database.begin() as session:
            expired = (
                select(FileRow.id)
                .where(FileRow.expires_at <= self._database.now)
                .limit(_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            return session.scalars(delete(FileRow).where(FileRow.id.in_(expired)).returning(FileRow.object_key)).all()


class ExpiredUploads:
    """Ends uploads that have expired and deletes their parts; forgets uploads that ended long ago."""

    name = "expired uploads"
    every = EXPIRY_SECONDS

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def run(self) -> None:
        """All that have expired by now."""
        self._expire()
        while keys := self._next_parts():
            _delete(self._objects, keys)
            log.info("%d parts of expired uploads deleted", len(keys))
        self._forget()

    def _expire(self) -> None:
        due = (UploadRow.status == UploadStatus.PENDING, UploadRow.expires_at <= self._database.now)
        with self._database.begin() as session:
            session.execute(update(UploadRow).where(*due).values(status=UploadStatus.EXPIRED))

    def _next_parts(self) -> Sequence[str]:
        expired = select(UploadRow.id).where(UploadRow.status == UploadStatus.EXPIRED)
        some = (
            select(UploadPartRow.id).where(UploadPartRow.upload_id.in_(expired)).limit(_AT_ONCE).with_for_update(skip_locked=True)
        )
        with self._database.begin() as session:
            parts = delete(UploadPartRow).where(UploadPartRow.id.in_(some))
            return session.scalars(parts.returning(UploadPartRow.object_key)).all()

    def _forget(self) -> None:
        ended = UploadRow.status != UploadStatus.PENDING
        long_ago = UploadRow.expires_at <= self._database.now - UPLOAD_KEPT_SECONDS
        with self._database.begin() as session:
            session.execute(delete(UploadRow).where(ended, long_ago))


def _delete(objects: ObjectStore, keys: Sequence[str]) -> None:
    for key in keys:
        objects.delete(ObjectKey.parse(key))
