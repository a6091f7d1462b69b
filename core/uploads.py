"""Uploads of one project: files that come in parts, in any order and at the same time, and are joined at the end.

A part is an object of its own until then. A row follows its bytes, never the other way round: what a killed process leaves are
objects without a row, which `worker.light` sweeps. All changes of one upload take turns on its row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound, TooLarge, WrongState
from core.files import check_filename, file_of, new_file_key, new_file_row
from core.ids import new_id
from core.limits.base import NO_LIMITS, Limits
from core.limits.project import check_stored_bytes
from core.storage.base import ObjectKey, ObjectStore, Stored
from core.tables import FileRow, UploadPartRow, UploadRow
from core.upload_types import NewUpload, Upload, UploadPart, UploadStatus, status_of, upload_of

MAX_PART_BYTES = 64 * 1024 * 1024
MAX_PARTS = 10_000
SENT_AGAIN = 2
"""How often an upload may be sent altogether: parts whose reply was lost come again, and the first stays until the end."""
LIFETIME_SECONDS = 3600.0


class UploadStore:
    """The uploads of one project. Unknown and foreign ids raise `NotFound`, calls in the wrong state `WrongState`."""

    def __init__(
        self, database: Database, objects: ObjectStore, project_id: str, max_bytes: int, limits: Limits = NO_LIMITS
    ) -> None:
        self._database = database
        self._objects = objects
        self._project_id = project_id
        self._max_bytes = max_bytes
        self._limits = limits

    def create(self, new: NewUpload) -> Upload:
        """Begin an upload: its bytes are set aside. Raises `InvalidRequest` for a bad name, `TooLarge`, `QuotaExceeded`."""
        check_filename(new.filename, "filename")
        if new.bytes > self._max_bytes:
            raise TooLarge(f"The upload is larger than the limit of {self._max_bytes} bytes.", param="bytes")
        with self._database.begin() as session:
            now = self._database.time(session)
            check_stored_bytes(session, self._project_id, new.bytes, self._limits)
            row = self._new_row(new, now)
            session.add(row)
        return upload_of(row, now)

    def receive(self, upload_id: str, chunks: Iterable[bytes]) -> Stored:
        """Keep the bytes of a part: for `add_part` or `discard`.

        Raises `TooLarge` past `MAX_PART_BYTES`, `InvalidRequest` where the upload can take no more, and what `chunks` raises;
        nothing is kept then.
        """
        with self._database.read() as session:
            row = self._row(session, upload_id)
            _require_pending(row, self._database.time(session))
            _require_room(row, 1)
        key = ObjectKey.of(self._project_id, "uploads", new_id("part_"))
        try:
            return self._objects.put(key, chunks, max_bytes=MAX_PART_BYTES)
        except TooLarge:
            raise TooLarge(f"The part is larger than the limit of {MAX_PART_BYTES} bytes.", param="data") from None

    def discard(self, stored: Stored) -> None:
        """Drop received bytes that become no part."""
        self._objects.delete(stored.key)

    def add_part(self, upload_id: str, stored: Stored) -> UploadPart:
        """Make a part of received bytes. Where it raises, as `receive` does, the bytes are dropped."""
        try:
            with self._database.begin() as session:
                now = self._database.time(session)
                row = self._row(session, upload_id, lock=True)
                _require_pending(row, now)
                _require_room(row, stored.bytes)
                part = UploadPartRow(
                    id=stored.key.segments[-1],
                    project_id=self._project_id,
                    upload_id=row.id,
                    bytes=stored.bytes,
                    object_key=str(stored.key),
                    created_at=now,
                )
                session.add(part)
                row.parts += 1
                row.part_bytes += stored.bytes
        except BaseException:
            self.discard(stored)
            raise
        return UploadPart(part.id, upload_id, part.created_at)

    def complete(self, upload_id: str, part_ids: Sequence[str], md5: str | None = None) -> Upload:
        """Join the parts, in this order, to a file; parts not named are dropped. The same call may come again.

        Raises `InvalidRequest` where the parts are not this upload's, or do not give the announced bytes, or not this md5 (in
        hexadecimal): the upload stays as it was.
        """
        request = _digest(part_ids, md5)
        with self._database.read() as session:
            row = self._row(session, upload_id)
            now = self._database.time(session)
            if row.completed_with == request:
                return self._with_file(session, row, now)
            _require_pending(row, now)
            parts = self._chosen(session, row, part_ids)
        try:
            stored = self._join(parts, md5)
        except KeyError:
            return self._completed(upload_id, request)
        try:
            with self._database.begin() as session:
                now = self._database.time(session)
                row = self._row(session, upload_id, lock=True)
                if row.completed_with != request:  # unless the same call, made twice, has won
                    # One that has expired since its parts were chosen is still complete.
                    _require_pending(row, min(now, row.created_at))
                    file = new_file_row(stored, self._project_id, row.filename, row.purpose, now, row.file_expires_after)
                    session.add(file)
                    row.status, row.file_id, row.completed_with = UploadStatus.COMPLETED, file.id, request
                    dropped = self._drop_parts(session, row)
                else:
                    dropped = [str(stored.key)]
                session.flush()
                upload = self._with_file(session, row, now)
        except BaseException:
            self.discard(stored)
            raise
        self._delete(dropped)
        return upload

    def cancel(self, upload_id: str) -> Upload:
        """End the upload without a file; its parts are dropped. A cancelled upload stays so."""
        with self._database.begin() as session:
            now = self._database.time(session)
            row = self._row(session, upload_id, lock=True)
            if row.status != UploadStatus.CANCELLED:
                _require_pending(row, now)
            row.status = UploadStatus.CANCELLED
            dropped = self._drop_parts(session, row)
            upload = upload_of(row, now)
        self._delete(dropped)
        return upload

    def _completed(self, upload_id: str, request: str) -> Upload:
        """The upload whose parts were gone before they were joined, where the same call made twice has completed it."""
        with self._database.read() as session:
            row = self._row(session, upload_id)
            now = self._database.time(session)
            if row.completed_with != request:
                raise WrongState(f"The parts of upload {upload_id} are gone: it is {status_of(row, now)}.", param="upload_id")
            return self._with_file(session, row, now)

    def _join(self, parts: Sequence[UploadPartRow], md5: str | None) -> Stored:
        """The parts' bytes as one object. Raises `KeyError` where they are gone, `InvalidRequest` where their md5 is another."""
        digest = hashlib.md5(usedforsecurity=False)

        def chunks() -> Iterator[bytes]:
            for part in parts:
                for chunk in self._objects.stream(ObjectKey.parse(part.object_key)):
                    if md5 is not None:
                        digest.update(chunk)
                    yield chunk

        stored = self._objects.put(new_file_key(self._project_id), chunks())
        if md5 is not None and digest.hexdigest() != md5.lower():
            self.discard(stored)
            message = f"The md5 of the parts is {digest.hexdigest()}, not {md5.lower()}."
            raise InvalidRequest(message, param="md5", code="md5_mismatch")
        return stored

    def _chosen(self, session: Session, row: UploadRow, part_ids: Sequence[str]) -> Sequence[UploadPartRow]:
        """The named parts in order."""
        query = select(UploadPartRow).where(UploadPartRow.upload_id == row.id, UploadPartRow.project_id == self._project_id)
        parts = {part.id: part for part in session.scalars(query)}
        if len(set(part_ids)) != len(part_ids):
            raise InvalidRequest("Invalid value for 'part_ids': a part is named twice.", param="part_ids", code="invalid_value")
        unknown = next((part_id for part_id in part_ids if part_id not in parts), None)
        if unknown is not None:
            message = f"Upload {row.id} has no part {unknown[:64]}."
            raise InvalidRequest(message, param="part_ids", code="unknown_part")
        chosen = [parts[part_id] for part_id in part_ids]
        size = sum(part.bytes for part in chosen)
        if size != row.bytes:
            message = f"The parts hold {size} bytes, but the upload was announced with {row.bytes}."
            raise InvalidRequest(message, param="part_ids", code="bytes_mismatch")
        return chosen

    def _drop_parts(self, session: Session, row: UploadRow) -> Sequence[str]:
        """Remove the rows of all parts; returns the keys of their objects, to be deleted after the commit."""
        parts = delete(UploadPartRow).where(UploadPartRow.upload_id == row.id, UploadPartRow.project_id == self._project_id)
        return session.scalars(parts.returning(UploadPartRow.object_key)).all()

    def _delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._objects.delete(ObjectKey.parse(key))

    def _row(self, session: Session, upload_id: str, *, lock: bool = False) -> UploadRow:
        query = select(UploadRow).where(UploadRow.id == upload_id, UploadRow.project_id == self._project_id)
        row = session.scalars(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise NotFound(f"No such Upload object: {upload_id}", param="upload_id")
        return row

    def _with_file(self, session: Session, row: UploadRow, now: float) -> Upload:
        """The upload with its file, which may have been deleted since."""
        query = select(FileRow).where(FileRow.id == row.file_id, FileRow.project_id == self._project_id)
        file = session.scalars(query).one_or_none()
        return upload_of(row, now, None if file is None else file_of(file))

    def _new_row(self, new: NewUpload, now: float) -> UploadRow:
        return UploadRow(
            id=new_id("upload_"),
            project_id=self._project_id,
            filename=new.filename,
            purpose=new.purpose,
            bytes=new.bytes,
            mime_type=new.mime_type,
            file_expires_after=new.file_expires_after,
            status=UploadStatus.PENDING,
            created_at=now,
            expires_at=now + LIFETIME_SECONDS,
        )


def _require_pending(row: UploadRow, now: float) -> None:
    status = status_of(row, now)
    if status != UploadStatus.PENDING:
        raise WrongState(f"Upload {row.id} is {status}; this takes one that is pending.", param="upload_id")


def _require_room(row: UploadRow, more_bytes: int) -> None:
    if row.parts >= MAX_PARTS:
        raise InvalidRequest(
            f"Upload {row.id} has {MAX_PARTS} parts, the most there may be.", param="data", code="too_many_parts"
        )
    if row.part_bytes + more_bytes > SENT_AGAIN * row.bytes + MAX_PART_BYTES:
        message = f"The parts of upload {row.id} hold {row.part_bytes} bytes, but it was announced with {row.bytes}."
        raise InvalidRequest(message, param="data", code="too_many_bytes")


def _digest(part_ids: Sequence[str], md5: str | None) -> str:
    return hashlib.sha256(json.dumps([list(part_ids), md5]).encode()).hexdigest()
