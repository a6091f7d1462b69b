"""Sessions of browsers: a random secret in a cookie stands for the API key that somebody signed in with.

Only a secret's sha256 is kept. A session opens what its key opens, and nothing from the moment on at which the key is revoked or
expires. A link is a secret that is good once, for a short time: it opens a session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select

from core.db import Database
from core.errors import Unauthorized
from core.ids import random_text
from core.security.keys import Holder, good, holder_of
from core.security.secrets import digest
from core.tables import ApiKeyRow, ProjectRow, SessionRow

SESSION_SECONDS = 7 * 24 * 3600.0
LINK_SECONDS = 15 * 60.0
_RANDOM = 43
"""Characters of a secret: 256 bits."""

Kind = Literal["session", "link"]


@dataclass(frozen=True)
class NewSession:
    """A session just opened: the secret for its cookie, and until when it is good (unix seconds)."""

    secret: str
    project_id: str
    expires_at: float


class SessionStore:
    """The sessions of all projects: like a key, a session is what tells which project a request is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, holder: Holder) -> NewSession:
        """A session of a key's holder."""
        return self._add(holder.project_id, holder.key_id, "session", SESSION_SECONDS)

    def make_link(self, project_id: str, key_id: str) -> str:
        """The secret of a link that opens one session of the key."""
        return self._add(project_id, key_id, "link", LINK_SECONDS).secret

    def follow_link(self, secret: str) -> NewSession:
        """The session that a link opens; raises `Unauthorized` where it is used, too old or unknown, or its key is not good."""
        holder = self._find([digest(secret)], "link").get(digest(secret))
        if holder is not None and self._remove(secret, "link"):
            return self.open(holder)
        raise Unauthorized("This sign-in link has been used or is too old. Sign in with an API key.", code="invalid_link")

    def find(self, digests: Sequence[str]) -> Mapping[str, Holder]:
        """The holders behind those sessions among the digests that are good now, as are their keys."""
        return self._find(digests, "session")

    def close(self, secret: str) -> None:
        """End a session. Unknown ones are ended already."""
        self._remove(secret, "session")

    def _add(self, project_id: str, key_id: str, kind: Kind, seconds: float) -> NewSession:
        secret = random_text(_RANDOM)
        with self._database.begin() as session:
            now = self._database.time(session)
            session.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            row = SessionRow(
                digest=digest(secret),
                project_id=project_id,
                key_id=key_id,
                kind=kind,
                created_at=now,
                expires_at=now + seconds,
            )
            session.add(row)
        return NewSession(secret, project_id, now + seconds)

    def _find(self, digests: Sequence[str], kind: Kind) -> Mapping[str, Holder]:
        now = self._database.now
        query = (
            select(
                SessionRow.digest.label("session"), ApiKeyRow.__table__, ProjectRow.archived_at, ProjectRow.requests_per_minute
            )
            .join(ApiKeyRow, (ApiKeyRow.id == SessionRow.key_id) & (ApiKeyRow.project_id == SessionRow.project_id))
            .join(ProjectRow, ProjectRow.project_id == SessionRow.project_id)
            .where(SessionRow.digest.in_(digests), SessionRow.kind == kind, SessionRow.expires_at > now, good(now))
        )
        with self._database.read() as session:
            return {row.session: holder_of(row) for row in session.execute(query)}

    def _remove(self, secret: str, kind: Kind) -> bool:
        query = delete(SessionRow).where(SessionRow.digest == digest(secret), SessionRow.kind == kind)
        with self._database.begin() as session:
            return session.connection().execute(query).rowcount == 1
