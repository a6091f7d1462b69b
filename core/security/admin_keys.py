"""Keys that manage projects, keys and limits. They belong to no project and open none."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from core.db import Database
from core.errors import NotFound
from core.ids import new_id
from core.security.secrets import ADMIN_PREFIX, digest, mask, new_secret
from core.security.uses import RESOLUTION_SECONDS
from core.tables import AdminKeyRow


@dataclass(frozen=True)
class AdminKey:
    """An admin key as it may be shown. Times are unix seconds."""

    id: str
    name: str
    hint: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None


class AdminKeyStore:
    """The admin keys in the database; `RFT_ADMIN_KEY` stands beside them and in no table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, expires_in: float | None = None) -> tuple[AdminKey, str]:
        """Make a key, good for `expires_in` seconds; returns it with its secret, which cannot be had again."""
        secret = new_secret(ADMIN_PREFIX)
        with self._database.begin() as session:
            now = self._database.time(session)
            row = AdminKeyRow(
                id=new_id("key_"),
                name=name,
                digest=digest(secret),
                hint=mask(secret),
                created_at=now,
                expires_at=None if expires_in is None else now + expires_in,
                last_used_at=None,
            )
            session.add(row)
        return _key(row), secret

    def opens(self, secret: str) -> bool:
        """Whether this is the secret of a good key, whose use is noted then."""
        with self._database.begin() as session:
            row = session.scalar(select(AdminKeyRow).where(AdminKeyRow.digest == digest(secret), self._good()))
            now = self._database.time(session)
            if row is not None and now - (row.last_used_at or 0.0) >= RESOLUTION_SECONDS:
                row.last_used_at = now
            return row is not None

    def list(self) -> tuple[AdminKey, ...]:
        """The good keys, newest first."""
        query = select(AdminKeyRow).where(self._good()).order_by(AdminKeyRow.created_at.desc(), AdminKeyRow.id.desc())
        with self._database.read() as session:
            return tuple(_key(row) for row in session.scalars(query))

    def get(self, key_id: str) -> AdminKey:
        """A good key; raises `NotFound`."""
        with self._database.read() as session:
            row = session.scalar(select(AdminKeyRow).where(AdminKeyRow.id == key_id, self._good()))
            if row is None:
                raise _no_such_key(key_id)
            return _key(row)

    def delete(self, key_id: str) -> None:
        """Make a key useless from now on; raises `NotFound`."""
        with self._database.begin() as session:
            row = session.scalar(select(AdminKeyRow).where(AdminKeyRow.id == key_id).with_for_update())
            if row is None:
                raise _no_such_key(key_id)
            session.delete(row)

    def _good(self) -> ColumnElement[bool]:
        return or_(AdminKeyRow.expires_at.is_(None), AdminKeyRow.expires_at > self._database.now)


def _no_such_key(key_id: str) -> NotFound:
    return NotFound(f"No such admin API key: {key_id}", param="id")


def _key(row: AdminKeyRow) -> AdminKey:
    return AdminKey(
        id=row.id,
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
