"""The webhook endpoints of one project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.jobs.types import Page
from core.security.box import SecretBox
from core.tables import ProjectRow, WebhookDeliveryRow, WebhookEndpointRow
from core.webhooks.signature import hint, new_secret
from core.webhooks.types import Delivery, DeliveryStatus, Endpoint, NewEndpoint

MAX_ENDPOINTS = 50
"""Endpoints of one project."""
OVERLAP_SECONDS = 24 * 3600.0
"""How long a secret may sign beside the one that replaced it."""


class WebhookStore:
    """Unknown and foreign ids raise `NotFound`."""

    def __init__(self, database: Database, box: SecretBox, project_id: str) -> None:
        self._database = database
        self._box = box
        self._project_id = project_id

    def create(self, new: NewEndpoint, *, unless_within: float = 0.0) -> tuple[Endpoint, str]:
        """A new endpoint and its secret, which is not shown again. Raises `InvalidRequest` at `MAX_ENDPOINTS`.

        One of the same name, URL and events that was made less than `unless_within` seconds ago is returned instead.
        """
        with self._database.begin() as session:
            # Held to the end, so that calls at the same time count each other's endpoints.
            session.scalars(select(ProjectRow).where(ProjectRow.project_id == self._project_id).with_for_update()).one()
            now = self._database.time(session)
            earlier = self._same(session, new, now - unless_within) if unless_within else None
            if earlier is not None:
                return _endpoint(earlier), self._box.open(earlier.secret)
            count = session.scalar(select(func.count()).select_from(self._rows().subquery())) or 0
            if count >= MAX_ENDPOINTS:
                raise InvalidRequest(f"A project has at most {MAX_ENDPOINTS} webhook endpoints.", code="too_many_endpoints")
            secret = new_secret()
            row = WebhookEndpointRow(
                id=new_id("whe_"),
                project_id=self._project_id,
                name=new.name,
                url=new.url,
                event_types=list(new.event_types),
                secret=self._box.seal(secret),
                secret_hint=hint(secret),
                created_at=now,
                updated_at=now,
            )
            session.add(row)
        return _endpoint(row), secret

    def get(self, endpoint_id: str) -> Endpoint:
        """The endpoint as it stands."""
        with self._database.read() as session:
            return _endpoint(self._row(session, endpoint_id))

    def secrets(self, endpoint_id: str) -> tuple[str, ...]:
        """The secrets that sign for the endpoint now, the newest first."""
        with self._database.read() as session:
            row, now = self._row(session, endpoint_id), self._database.time(session)
            return tuple(self._box.open(sealed) for sealed in active_secrets(row, now))

    def list(self, *, after: str | None, limit: int) -> Page[Endpoint]:
        """Endpoints, newest first, those after the endpoint `after`."""
        query = self._rows()
        with self._database.read() as session:
            if after is not None:
                last = self._row(session, after, param="after")
                query = query.where(
                    tuple_(WebhookEndpointRow.created_at, WebhookEndpointRow.id) < tuple_(last.created_at, last.id)
                )
            query = query.order_by(WebhookEndpointRow.created_at.desc(), WebhookEndpointRow.id.desc())
            rows = session.scalars(query.limit(limit + 1)).all()
            return Page(tuple(_endpoint(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def update(self, endpoint_id: str, changes: Mapping[str, Any]) -> Endpoint:
        """Set `name`, `url` or `event_types`. What changes nothing leaves `updated_at` alone."""
        with self._database.begin() as session:
            row = self._row(session, endpoint_id, lock=True)
            if any(getattr(row, name) != value for name, value in changes.items()):
                row.updated_at = self._database.time(session)
            for name, value in changes.items():
                setattr(row, name, value)
            return _endpoint(row)

    def delete(self, endpoint_id: str) -> None:
        """Remove the endpoint with all deliveries, also those still owed to it."""
        with self._database.begin() as session:
            row = self._row(session, endpoint_id, lock=True)
            session.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.endpoint_id == row.id))
            session.delete(row)

    def rotate(self, endpoint_id: str, *, keep_old: bool) -> tuple[Endpoint, str]:
        """A new secret for the endpoint; the old one signs beside it for `OVERLAP_SECONDS`, or not at all."""
        secret = new_secret()
        with self._database.begin() as session:
            row, now = self._row(session, endpoint_id, lock=True), self._database.time(session)
            row.previous_secret = row.secret if keep_old else None
            row.previous_expires_at = now + OVERLAP_SECONDS if keep_old else None
            row.secret, row.secret_hint, row.updated_at = self._box.seal(secret), hint(secret), now
            return _endpoint(row), secret

    def deliveries(self, endpoint_id: str, *, after: str | None, limit: int) -> Page[Delivery]:
        """What was sent to the endpoint, and what still is to be, newest first."""
        with self._database.read() as session:
            endpoint = self._row(session, endpoint_id)
            query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.endpoint_id == endpoint.id)
            if after is not None:
                last = session.scalar(query.where(WebhookDeliveryRow.id == after))
                if last is None:
                    raise NotFound(f"No such webhook delivery: {after}", param="after")
                query = query.where(
                    tuple_(WebhookDeliveryRow.created_at, WebhookDeliveryRow.id) < tuple_(last.created_at, last.id)
                )
            query = query.order_by(WebhookDeliveryRow.created_at.desc(), WebhookDeliveryRow.id.desc())
            rows = session.scalars(query.limit(limit + 1)).all()
            return Page(tuple(_delivery(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def _rows(self) -> Any:
        return select(WebhookEndpointRow).where(WebhookEndpointRow.project_id == self._project_id)

    def _row(self, session: Session, endpoint_id: str, *, lock: bool = False, param: str = "id") -> WebhookEndpointRow:
        query = self._rows().where(WebhookEndpointRow.id == endpoint_id)
        row: WebhookEndpointRow | None = session.scalar(query.with_for_update() if lock else query)
        if row is None:
            raise NotFound(f"No such webhook endpoint: {endpoint_id}", param=param)
        return row

    def _same(self, session: Session, new: NewEndpoint, since: float) -> WebhookEndpointRow | None:
        query = self._rows().where(
            WebhookEndpointRow.created_at > since, WebhookEndpointRow.name == new.name, WebhookEndpointRow.url == new.url
        )
        rows = session.scalars(query.order_by(WebhookEndpointRow.created_at.desc()))
        return next((row for row in rows if tuple(row.event_types) == new.event_types), None)


def active_secrets(row: WebhookEndpointRow, now: float) -> tuple[str, ...]:
    """The endpoint's sealed secrets that sign at this time, the newest first."""
    if row.previous_secret is None or row.previous_expires_at is None or row.previous_expires_at <= now:
        return (row.secret,)
    return (row.secret, row.previous_secret)


def _endpoint(row: WebhookEndpointRow) -> Endpoint:
    return Endpoint(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        url=row.url,
        event_types=tuple(row.event_types),
        secret_hint=row.secret_hint,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _delivery(row: WebhookDeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        event_type=row.event_type,
        body=row.body,
        status=cast(DeliveryStatus, row.status),
        created_at=row.created_at,
        attempts=row.attempts,
        next_attempt_at=row.due_at if row.status == "pending" else None,
        attempted_at=row.attempted_at,
        status_code=row.status_code,
        error=row.error,
    )
