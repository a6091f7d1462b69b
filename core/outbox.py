"""The relay of the outbox: messages that were written with a change are handed on once the change stands, and never lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.db import Database
from core.failpoints import hit
from core.tables import OutboxRow
from core.tables.base import Json

KEEP_SECONDS = 24 * 3600.0
"""How long messages are kept after they were sent, for whoever looks into what happened."""
_RELAYED_AT_ONCE = 100
_PURGED_AT_ONCE = 1000


@dataclass(frozen=True)
class Message:
    """A message owed. `created_at` is in unix seconds."""

    id: int
    project_id: str
    topic: str
    payload: Json
    created_at: float


Handler = Callable[[Session, Message], None]
"""Hands a message on. What it writes in the session stands if and only if the message is marked as sent."""


class Relay:
    """Hands the outbox's messages to the handlers of their topics. Safe for several processes at once.

    A topic without a handler is one whose receivers look at the rows themselves: its messages are marked as sent.
    """

    def __init__(self, database: Database, handlers: Mapping[str, Handler]) -> None:
        self._database = database
        self._handlers = dict(handlers)

    def relay(self) -> None:
        """Hand on every message that is there, oldest first."""
        while self._is_owed() and self._relay_some() == _RELAYED_AT_ONCE:
            pass

    def purge(self) -> None:
        """Delete messages that were sent long ago."""
        purged = _PURGED_AT_ONCE
        while purged == _PURGED_AT_ONCE:
            with self._database.begin() as session:
                old = OutboxRow.sent_at < self._database.time(session) - KEEP_SECONDS
                ids = select(OutboxRow.id).where(old).limit(_PURGED_AT_ONCE)
                purged = len(session.scalars(delete(OutboxRow).where(OutboxRow.id.in_(ids)).returning(OutboxRow.id)).all())

    def _is_owed(self) -> bool:
        # Asked before the transaction that writes, which would keep other writers of SQLite waiting.
        with self._database.read() as session:
            return session.scalar(select(OutboxRow.id).where(OutboxRow.sent_at.is_(None)).limit(1)) is not None

    def _relay_some(self) -> int:
        query = select(OutboxRow).where(OutboxRow.sent_at.is_(None)).order_by(OutboxRow.id).limit(_RELAYED_AT_ONCE)
        with self._database.begin() as session:
            now = self._database.time(session)
            rows = session.scalars(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                handler = self._handlers.get(row.topic)
                if handler is not None:
                    handler(session, Message(row.id, row.project_id, row.topic, row.payload, row.created_at))
                row.sent_at = now
            hit("before_relayed")
            return len(rows)
