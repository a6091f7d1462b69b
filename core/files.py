"""Files of one project: a row each, and the bytes in the object store under a key that no client chose."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from sqlalchemy import ColumnElement, Select, or_, select, tuple_
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound, TooLarge
from core.ids import new_id
from core.jobs.types import Page
from core.limits.base import NO_LIMITS, Limits
from core.limits.project import check_stored_bytes
from core.storage.base import ObjectKey, ObjectStore, Stored
from core.tables import FileRow

MAX_FILENAME = 255
RETRY_SECONDS = 600.0
"""How long a create call that comes again is taken for the same one: OpenAI's client sends no idempotency key."""
_CHUNK_BYTES = 1 << 20
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, surrogates, line and paragraph separators."""


@dataclass(frozen=True)
class File:
    """An uploaded or produced file. `filename` is a client's text: to be shown, never a path. Times are unix seconds."""

    id: str
    project_id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    object_key: str
    created_at: float
    expires_at: float | None


class FileStore:
    """The files of one project. Unknown, foreign, deleted and expired ids raise `NotFound`."""

    def __init__(
        self, database: Database, objects: ObjectStore, project_id: str, max_bytes: int, limits: Limits = NO_LIMITS
    ) -> None:
        self._database = database
        self._objects = objects
        self._project_id = project_id
        self._max_bytes = max_bytes
        self._limits = limits

    def create(self, filename: str, purpose: str, chunks: Iterable[bytes], expires_after: int | None = None) -> File:
        """Keep a file, for `expires_after` seconds where given. The row is written when all bytes are safe.

        Raises `InvalidRequest` for a bad name, `TooLarge` past the limit, `StorageFull`; nothing is kept then.
        """
        check_filename(filename)
        return self.add(self.receive(chunks), filename, purpose, expires_after)

    def receive(self, chunks: Iterable[bytes]) -> Stored:
        """Keep a file's bytes before its name and purpose are known: for `add` or `discard`.

        Raises `TooLarge` past the limit, `StorageFull`, and what `chunks` raises; nothing is kept then.
        """
        try:
            return self._objects.put(new_file_key(self._project_id), chunks, max_bytes=self._max_bytes)
        except TooLarge:
            raise TooLarge(f"The file is larger than the limit of {self._max_bytes} bytes.", param="file") from None

    def discard(self, stored: Stored) -> None:
        """Drop received bytes that become no file."""
        self._objects.delete(stored.key)

    def add(
        self, stored: Stored, filename: str, purpose: str, expires_after: int | None = None, *, is_retry: bool = False
    ) -> File:
        """Make a file of received bytes. Raises `InvalidRequest` for a bad name, `QuotaExceeded`; the bytes are dropped then.

        Where the call `is_retry`, the same file made shortly before is returned, and the bytes are dropped.
        """
        try:
            check_filename(filename)
            with self._database.begin() as session:
                now = self._database.time(session)
                new = new_file_row(stored, self._project_id, filename, purpose, now, expires_after)
                row = self._made_before(session, new) if is_retry else None
                if row is None:
                    check_stored_bytes(session, self._project_id, stored.bytes, self._limits)
                    row = new
                    session.add(row)
                file = file_of(row)
        except BaseException:
            self.discard(stored)
            raise
        if row is not new:
            self.discard(stored)
        return file

    def _made_before(self, session: Session, new: FileRow) -> FileRow | None:
        """The newest file that differs from `new` in nothing but its id, of the last `RETRY_SECONDS`."""
        lifetime = None if new.expires_at is None else new.expires_at - new.created_at
        query = self._visible().where(
            FileRow.created_at >= new.created_at - RETRY_SECONDS,
            FileRow.filename == new.filename,
            FileRow.purpose == new.purpose,
            FileRow.sha256 == new.sha256,
            FileRow.bytes == new.bytes,
        )
        rows = session.scalars(query.order_by(FileRow.created_at.desc()))
        same = (row for row in rows if (None if row.expires_at is None else row.expires_at - row.created_at) == lifetime)
        return next(same, None)

    def get(self, file_id: str) -> File:
        """The file's description."""
        with self._database.read() as session:
            return file_of(self._row(session, file_id))

    def list(
        self, *, after: str | None = None, limit: int = 10_000, order: Literal["asc", "desc"] = "desc", purpose: str | None = None
    ) -> Page[File]:
        """Files by time of creation, those after the file `after`; `purpose` keeps those uploaded for it."""
        place = tuple_(FileRow.created_at, FileRow.id)
        query = self._visible()
        if purpose is not None:
            query = query.where(FileRow.purpose == purpose)
        with self._database.read() as session:
            if after is not None:
                last = self._row(session, after, param="after")
                here = tuple_(last.created_at, last.id)
                query = query.where(place < here if order == "desc" else place > here)
            columns = (FileRow.created_at, FileRow.id)
            query = query.order_by(*(column.desc() if order == "desc" else column for column in columns))
            rows = session.scalars(query.limit(limit + 1)).all()
            return Page(tuple(file_of(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def delete(self, file_id: str) -> None:
        """Remove the file: its row, then its bytes."""
        with self._database.begin() as session:
            row = self._row(session, file_id)
            key = row.object_key
            session.delete(row)
        self._objects.delete(ObjectKey.parse(key))

    def open(self, file_id: str) -> BinaryIO:
        """A reader over the file's bytes, to be closed by the caller."""
        file = self.get(file_id)
        try:
            return self._objects.open(ObjectKey.parse(file.object_key))
        except KeyError:
            raise _no_such_file(file_id, "id") from None

    def chunks(self, file_id: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The file's bytes from `start` to before `stop`; the id is checked at the call, before the first chunk is asked for."""
        file = self.get(file_id)
        return self._stream(file, start, file.bytes if stop is None else stop)

    def _stream(self, file: File, start: int, stop: int) -> Iterator[bytes]:
        try:
            source = self._objects.open(ObjectKey.parse(file.object_key))
        except KeyError:
            raise _no_such_file(file.id, "id") from None
        with source:
            source.seek(start)
            while start < stop and (chunk := source.read(min(_CHUNK_BYTES, stop - start))):
                start += len(chunk)
                yield chunk

    def _visible(self) -> Select[FileRow]:
        alive: ColumnElement[bool] = or_(FileRow.expires_at.is_(None), FileRow.expires_at > self._database.now)
        return select(FileRow).where(FileRow.project_id == self._project_id, alive)

    def _row(self, session: Session, file_id: str, *, param: str = "id") -> FileRow:
        row = session.scalars(self._visible().where(FileRow.id == file_id)).one_or_none()
        if row is None:
            raise _no_such_file(file_id, param)
        return row


def check_filename(filename: str, param: str = "file") -> None:
    """Raises `InvalidRequest` unless the name is text of 1 to `MAX_FILENAME` printable characters. It may look like a path."""
    if not filename:
        raise InvalidRequest("The file must have a filename.", param=param)
    if len(filename) > MAX_FILENAME:
        raise InvalidRequest(f"The filename is longer than {MAX_FILENAME} characters.", param=param)
    if any(unicodedata.category(character) in _UNPRINTABLE for character in filename):
        raise InvalidRequest("The filename contains control characters.", param=param)


def new_file_key(project_id: str) -> ObjectKey:
    """Where the bytes of a new file go; the key ends in the file's id."""
    return ObjectKey.of(project_id, "files", new_id("file-"))


def new_file_row(stored: Stored, project_id: str, filename: str, purpose: str, now: float, expires_after: int | None) -> FileRow:
    """The row of a file whose bytes are stored under a `new_file_key`."""
    return FileRow(
        id=stored.key.segments[-1],
        project_id=project_id,
        filename=filename,
        purpose=purpose,
        bytes=stored.bytes,
        sha256=stored.sha256,
        object_key=str(stored.key),
        created_at=now,
        expires_at=None if expires_after is None else now + expires_after,
    )


def _no_such_file(file_id: str, param: str) -> NotFound:
    return NotFound(f"No such File object: {file_id}", param=param)


def file_of(row: FileRow) -> File:
    """What a row tells."""
    return File(
        id=row.id,
        project_id=row.project_id,
        filename=row.filename,
        purpose=row.purpose,
        bytes=row.bytes,
        sha256=row.sha256,
        object_key=row.object_key,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
