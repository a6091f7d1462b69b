"""The rules of webhook endpoints."""

from __future__ import annotations

import time
from typing import Any

from api.context import Context
from api.validation import validated
from api.webhooks.schemas import CreateEndpoint, RotateSecret, TestEndpoint, UpdateEndpoint
from core.errors import InvalidRequest
from core.ids import new_id
from core.outbound import check_url
from core.webhooks.events import event_body
from core.webhooks.send import send
from core.webhooks.types import Endpoint, NewEndpoint

Json = dict[str, Any]

RETRY_SECONDS = 600.0
"""How long a create call that the client repeats by itself is taken for the same one."""
_SAMPLE_ID = "test"
"""The object of a test's event: there is none."""


def create_endpoint(context: Context, project_id: str, body: Json, *, is_retry: bool) -> tuple[Endpoint, str]:
    """The endpoint of a create body and its secret. Raises `InvalidRequest` naming the field at fault."""
    asked = validated(CreateEndpoint, body)
    check_url(asked.url, allow_private=context.settings.allow_private_urls)
    new = NewEndpoint(asked.name, asked.url, _distinct(asked.event_types))
    return context.webhooks(project_id).create(new, unless_within=RETRY_SECONDS if is_retry else 0.0)


def update_endpoint(context: Context, project_id: str, endpoint_id: str, body: Json) -> Endpoint:
    """Change what the body names. Raises as `create_endpoint` does."""
    asked = validated(UpdateEndpoint, body)
    changes: Json = {name: getattr(asked, name) for name in asked.model_fields_set}
    if "url" in changes:
        check_url(asked.url, allow_private=context.settings.allow_private_urls)
    if "event_types" in changes:
        changes["event_types"] = list(_distinct(asked.event_types))
    return context.webhooks(project_id).update(endpoint_id, changes)


def rotate_secret(context: Context, project_id: str, endpoint_id: str, body: Json) -> tuple[Endpoint, str]:
    """The endpoint with a new secret."""
    asked = validated(RotateSecret, body)
    return context.webhooks(project_id).rotate(endpoint_id, keep_old=asked.keep_old_secret_active_for_24_hours)


def test_endpoint(context: Context, project_id: str, endpoint_id: str, body: Json) -> Json:
    """Send a sample of an event once, and tell the endpoint's status. Raises `InvalidRequest` where it gave none."""
    asked = validated(TestEndpoint, body)
    store = context.webhooks(project_id)
    endpoint, secrets = store.get(endpoint_id), store.secrets(endpoint_id)
    now = time.time()
    event = event_body(asked.event_type, _SAMPLE_ID, now)
    outcome = send(context.outbound, endpoint.url, secrets, new_id("wh_"), int(now), event)
    if outcome.status_code is None:
        raise InvalidRequest(f"The endpoint gave no reply to the test: {outcome.error}.", code="webhook_test_failed")
    return {
        "object": "webhook_endpoint.test",
        "event_type": asked.event_type,
        "status_code": outcome.status_code,
        "success": True,
        "webhook_endpoint_id": endpoint_id,
    }


def _distinct(event_types: list[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event_types))
