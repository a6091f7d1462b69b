"""The queue of deliveries of all projects. Safe for several processes at once, each of which may be killed at any point."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from core.db import Database
from core.ids import new_id
from core.outbox import Message
from core.tables import WebhookDeliveryRow, WebhookEndpointRow
from core.webhooks.events import event_body
from core.webhooks.retries import GIVE_UP_SECONDS, delay_after
from core.webhooks.send import SEND_SECONDS
from core.webhooks.store import active_secrets
from core.webhooks.types import Attempt, Outcome

CLAIM_SECONDS = SEND_SECONDS + 10.0
"""After which an attempt whose process has not told its outcome is taken for dead."""
MAX_PER_PROJECT = 4
"""Attempts of one project under way at a time; of one endpoint there is one."""
KEEP_SECONDS = 7 * 24 * 3600.0
_PURGED_AT_ONCE = 1000

_Row = WebhookDeliveryRow


def fan_out(session: Session, message: Message) -> None:
    """Owe the event of an outbox message to every endpoint of its project that was there and wanted it."""
    event_type = str(message.payload["type"])
    query = select(WebhookEndpointRow).where(
        WebhookEndpointRow.project_id == message.project_id, WebhookEndpointRow.created_at <= message.created_at
    )
    body = event_body(event_type, str(message.payload["job_id"]), message.created_at)
    # The lock keeps an endpoint from being deleted before what is owed to it is written.
    for endpoint in session.scalars(query.with_for_update(read=True, key_share=True)):
        if event_type in endpoint.event_types:
            session.add(
                WebhookDeliveryRow(
                    id=new_id("wh_"),
                    project_id=message.project_id,
                    endpoint_id=endpoint.id,
                    event_type=event_type,
                    body=body,
                    status="pending",
                    created_at=message.created_at,
                    due_at=message.created_at,
                )
            )


class DeliveryQueue:
    """Attempts are taken, made elsewhere, and recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, limit: int) -> list[Attempt]:
        """Take up to `limit` deliveries that are due, oldest first, no two of one endpoint and few of one project."""
        with self._database.read() as session:
            if session.scalar(select(_Row.id).where(_due(self._database.time(session))).limit(1)) is None:
                return []
        with self._database.begin() as session:
            now = self._database.time(session)
            return [_taken(session, row, now) for row in _choose(session, now, limit)]

    def record(self, attempt: Attempt, outcome: Outcome) -> None:
        """Write what came of an attempt. Does nothing where the delivery was taken again since, or is gone."""
        query = select(_Row).where(_Row.id == attempt.delivery_id, _Row.attempts == attempt.number, _Row.status == "pending")
        with self._database.begin() as session:
            row = session.scalar(query.with_for_update())
            if row is None:
                return
            now = self._database.time(session)
            row.claimed_until, row.attempted_at = None, now
            row.status_code, row.error = outcome.status_code, outcome.error
            row.due_at = now + delay_after(row.attempts, outcome.retry_after)
            if outcome.delivered:
                row.status = "succeeded"
            elif row.due_at > row.created_at + GIVE_UP_SECONDS:
                row.status = "failed"

    def purge(self) -> None:
        """Forget deliveries that ended long ago."""
        purged = _PURGED_AT_ONCE
        while purged == _PURGED_AT_ONCE:
            with self._database.begin() as session:
                old = _Row.created_at < self._database.time(session) - GIVE_UP_SECONDS - KEEP_SECONDS
                ended = select(_Row.id).where(_Row.status != "pending", old).limit(_PURGED_AT_ONCE)
                purged = len(session.scalars(delete(_Row).where(_Row.id.in_(ended)).returning(_Row.id)).all())


def _due(now: float) -> ColumnElement[bool]:
    free = or_(_Row.claimed_until.is_(None), _Row.claimed_until <= now)
    return and_(_Row.status == "pending", _Row.due_at <= now, free)


def _choose(session: Session, now: float, limit: int) -> list[WebhookDeliveryRow]:
    """The oldest due delivery of each endpoint without an attempt under way, within the limit of its project."""
    under_way = and_(_Row.status == "pending", _Row.claimed_until > now)
    counts = select(_Row.project_id, func.count()).where(under_way).group_by(_Row.project_id)
    in_project = Counter({row[0]: row[1] for row in session.execute(counts)})
    busy = select(_Row.endpoint_id).where(under_way)
    waiting = select(_Row.endpoint_id, _Row.project_id).where(_due(now), _Row.endpoint_id.not_in(busy))
    chosen: list[WebhookDeliveryRow] = []
    for endpoint_id, project_id in session.execute(
        waiting.group_by(_Row.endpoint_id, _Row.project_id).order_by(func.min(_Row.due_at))
    ):
        if len(chosen) == limit:
            break
        if in_project[project_id] >= MAX_PER_PROJECT:
            continue
        oldest = select(_Row).where(_due(now), _Row.endpoint_id == endpoint_id).order_by(_Row.due_at, _Row.id).limit(1)
        row = session.scalar(oldest.with_for_update(skip_locked=True))
        if row is not None:
            in_project[project_id] += 1
            chosen.append(row)
    return chosen


def _taken(session: Session, row: WebhookDeliveryRow, now: float) -> Attempt:
    row.attempts += 1
    row.claimed_until = now + CLAIM_SECONDS
    endpoint = session.get_one(WebhookEndpointRow, row.endpoint_id)
    return Attempt(row.id, row.attempts, endpoint.url, row.body, active_secrets(endpoint, now), int(now))
