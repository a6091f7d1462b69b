"""The keys of projects: made, found, changed, rotated and revoked. `core.security.secrets` tells what a secret looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound, Unauthorized
from core.ids import new_id
from core.security.scopes import checked
from core.security.secrets import digest, mask, new_secret, plausible
from core.tables import ApiKeyRow, ProjectRow


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
    scopes: tuple[str, ...] = ()
    last_used_at: float | None = None
    service_account_id: str | None = None


@dataclass(frozen=True)
class Holder:
    """Whom a good key lets in: its project, what it may do there, and how often."""

    key_id: str
    project_id: str
    archived: bool
    scopes: tuple[str, ...]
    requests_per_minute: int | None
    """The project's own limit; None where the service's default holds."""
    last_used_at: float | None


class KeyStore:
    """The keys of all projects: a key is what tells which project a request is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        project_id: str,
        name: str,
        secret: str | None = None,
        *,
        expires_in: float | None = None,
        scopes: Sequence[str] = (),
        service_account_id: str | None = None,
    ) -> tuple[Key, str]:
        """Make a key of the project, good for `expires_in` seconds; returns it with its secret, which cannot be had again.

        With a `secret` of one's own, a key of that secret which exists already is returned as it is, revoked or not. Raises
        `InvalidRequest` for a secret that fits no header or belongs to another project, and for an unknown scope.
        """
        if secret is None:
            secret = new_secret()
        elif not plausible(secret):
            raise InvalidRequest("The API key must be 1 to 512 visible ASCII characters without a typing error.", param="api_key")
        row = ApiKeyRow(
            id=new_id("key_"),
            project_id=project_id,
            name=name,
            digest=digest(secret),
            hint=mask(secret),
            scopes=list(checked(scopes)),
            service_account_id=service_account_id,
        )
        try:
            return self._existing(project_id, secret) or self._insert(row, expires_in), secret
        except IntegrityError:
            # A process that started at the same time was faster. Anything else wrong with the row shows here.
            existing = self._existing(project_id, secret)
            if existing is None:
                raise
            return existing, secret

    def find(self, digests: Sequence[str]) -> Mapping[str, Holder]:
        """The holders of those keys among the digests that are good now: known, not revoked, not expired."""
        query = (
            select(ApiKeyRow.__table__, ProjectRow.archived_at, ProjectRow.requests_per_minute)
            .join(ProjectRow, ProjectRow.project_id == ApiKeyRow.project_id)
            .where(ApiKeyRow.digest.in_(digests), good(self._database.now))
        )
        with self._database.read() as session:
            return {row.digest: holder_of(row) for row in session.execute(query)}

    def authenticate(self, secret: str | None) -> Holder:
        """The holder of this secret; raises `Unauthorized`, in the same words for unknown, expired and revoked ones."""
        found = digest_of(secret)
        holder = self.find([found]).get(found)
        if holder is None:
            raise incorrect(secret)
        return holder

    def used(self, key_ids: Sequence[str]) -> None:
        """Note that these keys are in use now."""
        with self._database.begin() as session:
            now = self._database.time(session)
            session.execute(update(ApiKeyRow).where(ApiKeyRow.id.in_(key_ids)).values(last_used_at=now))

    def list(self, project_id: str) -> tuple[Key, ...]:
        """The project's keys, newest first, revoked and expired ones included."""
        query = select(ApiKeyRow).where(ApiKeyRow.project_id == project_id)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc()))
            return tuple(_key(row) for row in rows)

    def list_good(self, project_id: str) -> tuple[Key, ...]:
        """The project's keys that open it now, newest first."""
        query = select(ApiKeyRow).where(ApiKeyRow.project_id == project_id, good(self._database.now))
        with self._database.read() as session:
            rows = session.scalars(query.order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc()))
            return tuple(_key(row) for row in rows)

    def revoke(self, project_id: str, key_id: str) -> Key:
        """Make a key useless from now on; raises `NotFound`. Revoking twice changes nothing."""
        with self._database.begin() as session:
            row = _locked(session, project_id, key_id)
            if row.revoked_at is None:
                row.revoked_at = self._database.time(session)
            return _key(row)

    def change(
        self, project_id: str, key_id: str, *, expires_in: float | None = None, scopes: Sequence[str] | None = None
    ) -> Key:
        """Set when a good key expires, what it may do, or both; raises `NotFound` for any other, `InvalidRequest` for a scope."""
        with self._database.begin() as session:
            row = self._good_row(session, project_id, key_id)
            if expires_in is not None:
                row.expires_at = self._database.time(session) + expires_in
            if scopes is not None:
                row.scopes = list(checked(scopes))
            return _key(row)

    def rotate(self, project_id: str, key_id: str, *, overlap: float) -> tuple[Key, str]:
        """A new key in the place of a good one, which works on for `overlap` seconds at most; raises `NotFound` for any other."""
        secret = new_secret()
        with self._database.begin() as session:
            old = self._good_row(session, project_id, key_id)
            now = self._database.time(session)
            new = ApiKeyRow(
                id=new_id("key_"),
                project_id=project_id,
                name=old.name,
                digest=digest(secret),
                hint=mask(secret),
                created_at=now,
                expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
                scopes=old.scopes,
                service_account_id=old.service_account_id,
            )
            old.expires_at = min(now + overlap, old.expires_at or float("inf"))
            session.add(new)
            return _key(new), secret

    def _good_row(self, session: Session, project_id: str, key_id: str) -> ApiKeyRow:
        row = _locked(session, project_id, key_id)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= self._database.time(session)):
            raise _no_such_key(key_id)
        return row

    def _existing(self, project_id: str, secret: str) -> Key | None:
        with self._database.read() as session:
            # A query for a digest in all projects, as in `find`: a secret opens one project only.
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.digest == digest(secret))).one_or_none()
        if row is None:
            return None
        if row.project_id != project_id:
            raise InvalidRequest("This API key belongs to another project.", param="api_key")
        return _key(row)

    def _insert(self, row: ApiKeyRow, expires_in: float | None) -> Key:
        with self._database.begin() as session:
            row.created_at = self._database.time(session)
            row.expires_at = None if expires_in is None else row.created_at + expires_in
            session.add(row)
        return _key(row)


def digest_of(secret: str | None) -> str:
    """What the key of a request's secret is found by; raises `Unauthorized` where there is none or no key can have it."""
    if not secret:
        raise Unauthorized(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY)."
        )
    if not plausible(secret):
        raise incorrect(secret)
    return digest(secret)


def incorrect(secret: str | None) -> Unauthorized:
    """The error for a key that is unknown, expired or revoked."""
    return Unauthorized(f"Incorrect API key provided: {mask(secret or '')}. You can make a key with `rft keys create`.")


def holder_of(row: Row[Any]) -> Holder:
    """The holder from the columns of a key and its project."""
    return Holder(
        key_id=row.id,
        project_id=row.project_id,
        archived=row.archived_at is not None,
        scopes=tuple(row.scopes or ()),
        requests_per_minute=row.requests_per_minute,
        last_used_at=row.last_used_at,
    )


def good(now: ColumnElement[float]) -> ColumnElement[bool]:
    """Which keys open something: those neither revoked nor expired."""
    return ApiKeyRow.revoked_at.is_(None) & or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > now)


def _locked(session: Session, project_id: str, key_id: str) -> ApiKeyRow:
    query = select(ApiKeyRow).where(ApiKeyRow.project_id == project_id, ApiKeyRow.id == key_id)
    row = session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise _no_such_key(key_id)
    return row


def _no_such_key(key_id: str) -> NotFound:
    return NotFound(f"No such API key: {key_id}", param="id")


def _key(row: ApiKeyRow) -> Key:
    return Key(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        scopes=tuple(row.scopes or ()),
        last_used_at=row.last_used_at,
        service_account_id=row.service_account_id,
    )
