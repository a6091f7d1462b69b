"""Wire shapes of webhook endpoints and deliveries."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.outbound.urls import MAX_URL
from core.webhooks.events import EventType
from core.webhooks.types import Delivery, Endpoint

Json = dict[str, Any]

MAX_NAME = 256


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100)]


class CreateEndpoint(BaseModel):
    """The body of a create call."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    event_types: EventTypes


class UpdateEndpoint(BaseModel):
    """The body of an update: what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    url: Url = ""
    event_types: EventTypes = []


class RotateSecret(BaseModel):
    """The body of a rotation."""

    model_config = ConfigDict(extra="forbid")

    keep_old_secret_active_for_24_hours: bool = False


class TestEndpoint(BaseModel):
    """The body of a test."""

    model_config = ConfigDict(extra="forbid")

    event_type: EventType


def endpoint_object(endpoint: Endpoint, secret: str | None = None) -> Json:
    """An endpoint as clients see it; its secret stands in the replies that made it."""
    shown = {} if secret is None else {"signing_secret": secret}
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "created_at": int(endpoint.created_at),
        "updated_at": int(endpoint.updated_at),
        "event_types": list(endpoint.event_types),
        "name": endpoint.name,
        "url": endpoint.url,
        "signing_secret_hint": endpoint.secret_hint,
        **shown,
    }


def delivery_object(delivery: Delivery) -> Json:
    """A delivery as clients see it, with the event as it is sent."""
    return {
        "id": delivery.id,
        "object": "webhook_endpoint.delivery",
        "created_at": int(delivery.created_at),
        "webhook_endpoint_id": delivery.endpoint_id,
        "event": json.loads(delivery.body),
        "status": delivery.status,
        "attempts": delivery.attempts,
        "last_attempt_at": None if delivery.attempted_at is None else int(delivery.attempted_at),
        "last_status_code": delivery.status_code,
        "last_error": delivery.error,
        "next_attempt_at": None if delivery.next_attempt_at is None else int(delivery.next_attempt_at),
    }
