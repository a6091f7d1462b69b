"""Endpoints and deliveries brought to where a test wants them."""

from __future__ import annotations

import json

from core.db import Database
from core.jobs.sql_rows import WEBHOOK_TOPIC
from core.jobs.types import JobCommand
from core.outbox import Relay
from core.security.box import SecretBox
from core.settings import DEFAULT_PROJECT
from core.webhooks.deliveries import fan_out
from core.webhooks.store import WebhookStore
from core.webhooks.types import Delivery, Endpoint, NewEndpoint

from .parts import Parts

BOX = SecretBox("a key of the tests, long enough to be one")
CANCELLED = "fine_tuning.job.cancelled"


def store(database: Database, project_id: str = DEFAULT_PROJECT) -> WebhookStore:
    return WebhookStore(database, BOX, project_id)


def new_endpoint(name: str = "one", url: str = "https://hooks.example/", *event_types: str) -> NewEndpoint:
    return NewEndpoint(name, url, event_types or (CANCELLED,))


def endpoint(parts: Parts, name: str = "one", *event_types: str) -> Endpoint:
    """A new endpoint, older than the jobs to come."""
    made, _ = store(parts.database).create(new_endpoint(name, f"https://{name}.example/", *event_types))
    parts.clock.advance(1.0)
    return made


def cancel_job(parts: Parts) -> str:
    """Bring an event about, and relay it; returns the id of its job."""
    job = parts.created()
    parts.store.command(job.id, JobCommand.CANCEL)
    Relay(parts.database, {WEBHOOK_TOPIC: fan_out}).relay()
    return job.id


def deliveries(parts: Parts, endpoint: Endpoint) -> list[Delivery]:
    return list(store(parts.database).deliveries(endpoint.id, after=None, limit=100).data)


def job_of(delivery: Delivery) -> str:
    return str(json.loads(delivery.body)["data"]["id"])
