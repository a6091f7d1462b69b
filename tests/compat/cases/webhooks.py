"""`client.webhooks`."""

from __future__ import annotations

from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, NotFoundError, OpenAI

from tests.compat.cases.base import proves
from tests.compat.world import World
from tests.receiver import receiving

SUCCEEDED, FAILED = "fine_tuning.job.succeeded", "fine_tuning.job.failed"
URL = "https://hooks.example.com/rft"


def endpoint(client: OpenAI, url: str = URL) -> Any:
    return client.webhooks.create(name="mine", url=url, event_types=[FAILED])


@proves("webhooks.create")
def create(client: OpenAI, world: World) -> None:
    made = endpoint(client)
    client.webhooks.delete(made.id)
    assert (made.object, made.name, made.url, made.event_types) == ("webhook_endpoint", "mine", URL, [FAILED])
    assert made.signing_secret.startswith("whsec_")


@proves("webhooks.retrieve")
def retrieve(client: OpenAI, world: World) -> None:
    made = endpoint(client)
    found = client.webhooks.retrieve(made.id)
    client.webhooks.delete(made.id)
    assert found.to_dict() == {name: value for name, value in made.to_dict().items() if name != "signing_secret"}


@proves("webhooks.list")
def listed(client: OpenAI, world: World) -> None:
    made = [endpoint(client).id for _ in range(3)]
    found = [one.id for one in client.webhooks.list(limit=1)]
    for one in made:
        client.webhooks.delete(one)
    assert found[:3] == made[::-1]


@proves("webhooks.update")
def update(client: OpenAI, world: World) -> None:
    made = endpoint(client)
    changed = client.webhooks.update(made.id, name="renamed", event_types=[SUCCEEDED])
    client.webhooks.delete(made.id)
    assert (changed.name, changed.url, changed.event_types) == ("renamed", URL, [SUCCEEDED])


@proves("webhooks.delete")
def delete(client: OpenAI, world: World) -> None:
    made = endpoint(client)
    gone = client.webhooks.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "webhook_endpoint.deleted", True)
    with pytest.raises(NotFoundError):
        client.webhooks.retrieve(made.id)


@proves("webhooks.rotate_secret")
def rotate_secret(client: OpenAI, world: World) -> None:
    made = endpoint(client)
    rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    client.webhooks.delete(made.id)
    assert rotated.id == made.id
    assert rotated.signing_secret.startswith("whsec_")
    assert rotated.signing_secret != made.signing_secret


@proves("webhooks.event_types.list")
def event_types(client: OpenAI, world: World) -> None:
    assert {SUCCEEDED, FAILED, "fine_tuning.job.cancelled"} <= set(client.webhooks.event_types.list().data)


@proves("webhooks.test")
def test(client: OpenAI, world: World) -> None:
    with receiving() as receiver:
        made = endpoint(client, receiver.url)
        result = client.webhooks.test(made.id, event_type=FAILED)
        client.webhooks.delete(made.id)
    assert (result.object, result.event_type, result.status_code) == ("webhook_endpoint.test", FAILED, 204)
    assert (result.success, result.webhook_endpoint_id) == (True, made.id)


@proves("webhooks.unwrap")
def unwrap(client: OpenAI, world: World) -> None:
    sent = world.delivery()
    event = client.webhooks.unwrap(sent.body, sent.headers, secret=world.signing_secret)
    assert (event.object, event.type, event.data.id) == ("event", SUCCEEDED, world.job.id)
    assert event.id.startswith("evt_")


@proves("webhooks.verify_signature")
def verify_signature(client: OpenAI, world: World) -> None:
    sent = world.delivery()
    client.webhooks.verify_signature(sent.body, sent.headers, secret=world.signing_secret)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.verify_signature(sent.body + " ", sent.headers, secret=world.signing_secret)
