"""What replies about webhook endpoints hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, Reply
from core.webhooks.events import EventType


class EventTypeList(Reply):
    """The types that can be subscribed to."""

    object: Literal["list"]
    data: list[EventType]


class EndpointObject(Reply):
    """An endpoint, as `endpoint_object` builds it."""

    id: str
    object: Literal["webhook_endpoint"]
    created_at: int
    updated_at: int
    event_types: list[EventType]
    name: str
    url: str
    signing_secret_hint: str


class EndpointWithSecret(EndpointObject):
    """An endpoint whose secret was just made."""

    signing_secret: str


class TestObject(Reply):
    """How an endpoint answered a test."""

    object: Literal["webhook_endpoint.test"]
    event_type: EventType
    status_code: int
    success: bool
    webhook_endpoint_id: str


class DeliveryObject(Reply):
    """A delivery, as `delivery_object` builds it."""

    id: str
    object: Literal["webhook_endpoint.delivery"]
    created_at: int
    webhook_endpoint_id: str
    event: Json
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    last_attempt_at: int | None
    last_status_code: int | None
    last_error: str | None
    next_attempt_at: int | None
