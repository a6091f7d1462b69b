"""Webhook endpoints and what is delivered to them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base


class WebhookEndpointRow(Base):
    """A URL that wants to hear of events. Secrets are sealed (`core.security.box`)."""

    __tablename__ = "webhook_endpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]]
    secret: Mapped[str] = mapped_column(Text)
    secret_hint: Mapped[str]
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_expires_at: Mapped[float | None]
    created_at: Mapped[float]
    updated_at: Mapped[float]
    __table_args__ = (Index("webhook_endpoints_by_time", "project_id", "created_at", "id"),)


class WebhookDeliveryRow(Base):
    """One event on its way to one endpoint. `body` is what is signed and sent, the same bytes at every attempt."""

    __tablename__ = "webhook_deliveries"
    id: Mapped[str] = mapped_column(primary_key=True)
    """Also the header `webhook-id`."""
    project_id: Mapped[str]
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_type: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str]
    created_at: Mapped[float]
    due_at: Mapped[float]
    claimed_until: Mapped[float | None]
    """While an attempt is under way; where its process dies, the delivery is due again after this time."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Attempts begun; the one under way writes its result only while this still is its number."""
    attempted_at: Mapped[float | None]
    status_code: Mapped[int | None]
    error: Mapped[str | None]
    __table_args__ = (
        Index("webhook_deliveries_by_time", "endpoint_id", "created_at", "id"),
        Index("webhook_deliveries_due", "status", "due_at"),
    )
