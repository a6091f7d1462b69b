"""Bearer keys: `rft_sk_`, 37 random characters, 6 of a checksum. Only a key's sha256 is kept, and keys are found by it.

A fast hash is enough, since nobody can guess 37 random characters; the prefix lets secret scanners find leaked keys; the
checksum turns typing errors away before the database is asked.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.errors import InvalidRequest, NotFound, Unauthorized
from core.ids import new_id, random_text
from core.tables import ApiKeyRow

PREFIX = "rft_sk_"
_RANDOM = 37
_CHECKSUM = 6
_BASE62 = string.digits + string.ascii_letters
_OURS = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
_SENDABLE = re.compile(r"[!-~]{1,512}")
"""What fits behind `Authorization: Bearer`."""


@dataclass(frozen=True)
class Key:
    """A key as it may be shown: never the secret, whose masked form is `hint`. Times are unix seconds."""

    id: str
    project_id: str
    name: str
    hint: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class KeyStore:
    """The keys of all projects: a key is what tells which project a request is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, project_id: str, name: str, secret: str | None = None, expires_at: float | None = None) -> tuple[Key, str]:
        """Make a key of the project; returns it with its secret, which cannot be had again.

        With a `secret` of one's own, a key of that secret which exists already is returned as it is, revoked or not. Raises
        `InvalidRequest` for a secret that fits no header, or belongs to another project.
        """
        if secret is None:
            secret = new_secret()
        elif not _SENDABLE.fullmatch(secret) or not _plausible(secret):
            raise InvalidRequest("The API key must be 1 to 512 visible ASCII characters without a typing error.", param="api_key")
        try:
            return self._existing(project_id, secret) or self._insert(project_id, name, secret, expires_at), secret
        except IntegrityError:
            # A process that started at the same time was faster. Anything else wrong with the row shows here.
            existing = self._existing(project_id, secret)
            if existing is None:
                raise
            return existing, secret

    def authenticate(self, secret: str | None) -> Key:
        """The key of this secret; raises `Unauthorized`, in the same words for unknown, expired and revoked ones."""
        if not secret:
            raise Unauthorized(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
                "(i.e. Authorization: Bearer YOUR_KEY)."
            )
        row = None
        if _SENDABLE.fullmatch(secret) and _plausible(secret):
            now = self._database.now
            query = select(ApiKeyRow).where(
                ApiKeyRow.digest == _digest(secret),
                ApiKeyRow.revoked_at.is_(None),
                or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > now),
            )
            with self._database.read() as session:
                row = session.scalars(query).one_or_none()
        if row is None:
            raise Unauthorized(f"Incorrect API key provided: {mask(secret)}. You can make a key with `rft keys create`.")
        return _key(row)

    def list(self, project_id: str) -> tuple[Key, ...]:
        """The project's keys, newest first, revoked and expired ones included."""
        query = select(ApiKeyRow).where(ApiKeyRow.project_id == project_id)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc()))
            return tuple(_key(row) for row in rows)

    def revoke(self, project_id: str, key_id: str) -> Key:
        """Make a key useless from now on; raises `NotFound`. Revoking twice changes nothing."""
        query = select(ApiKeyRow).where(ApiKeyRow.project_id == project_id, ApiKeyRow.id == key_id)
        with self._database.begin() as session:
            row = session.scalars(query.with_for_update()).one_or_none()
            if row is None:
                raise NotFound(f"No such API key: {key_id}", param="id")
            if row.revoked_at is None:
                row.revoked_at = self._database.time(session)
            return _key(row)

    def _existing(self, project_id: str, secret: str) -> Key | None:
        with self._database.read() as session:
            # The one query for a digest in all projects besides `authenticate`: a secret opens one project only.
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.digest == _digest(secret))).one_or_none()
        if row is None:
            return None
        if row.project_id != project_id:
            raise InvalidRequest("This API key belongs to another project.", param="api_key")
        return _key(row)

    def _insert(self, project_id: str, name: str, secret: str, expires_at: float | None) -> Key:
        with self._database.begin() as session:
            row = ApiKeyRow(
                id=new_id("key_"),
                project_id=project_id,
                name=name,
                digest=_digest(secret),
                hint=mask(secret),
                created_at=self._database.time(session),
                expires_at=expires_at,
                revoked_at=None,
            )
            session.add(row)
        return _key(row)


def new_secret() -> str:
    """A fresh secret with its checksum."""
    body = PREFIX + random_text(_RANDOM)
    return body + _checksum(body)


def mask(secret: str) -> str:
    """The secret's first five and last two characters, or none where that would show a good part of it or is no text."""
    if len(secret) < 16 or not _SENDABLE.fullmatch(secret):
        return "***"
    return f"{secret[:5]}***{secret[-2:]}"


def _plausible(secret: str) -> bool:
    """False for a secret of our own form whose checksum is wrong. An operator's own secrets have other forms."""
    return not _OURS.fullmatch(secret) or secret[-_CHECKSUM:] == _checksum(secret[:-_CHECKSUM])


def _checksum(text: str) -> str:
    value = zlib.crc32(text.encode())
    digits = ""
    for _ in range(_CHECKSUM):
        value, digit = divmod(value, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: ApiKeyRow) -> Key:
    return Key(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
