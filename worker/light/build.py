"""Which light work there is."""

from __future__ import annotations

from core.db import Database
from core.jobs.sql_rows import WEBHOOK_TOPIC
from core.outbound import Outbound
from core.outbox import Relay
from core.security.box import SecretBox
from core.settings import Settings
from core.storage.build import open_store
from core.webhooks.deliveries import DeliveryQueue, fan_out
from worker.light.base import Chore
from worker.light.messages import DeliverWebhooks, PurgeMessages, RelayOutbox
from worker.light.sweep import sweep_chores
from worker.light.validate import ValidateJobs


def chores(settings: Settings, database: Database) -> list[Chore]:
    """Every chore of an embedded service. Its worker looks at jobs itself, so of the outbox only webhooks are handed on."""
    return [RelayOutbox(Relay(database, {WEBHOOK_TOPIC: fan_out})), *light_chores(settings, database)]


def light_chores(settings: Settings, database: Database) -> list[Chore]:
    """What a worker of light work does in a distributed service, where the scheduler relays the outbox."""
    objects, queue = open_store(settings.object_store_url), DeliveryQueue(database)
    outbound = Outbound(allow_private=settings.allow_private_urls)
    return [
        validation(settings, database),
        DeliverWebhooks(queue, outbound, SecretBox.load(settings)),
        PurgeMessages(Relay(database, {}), queue),
        *sweep_chores(database, objects),
    ]


def validation(settings: Settings, database: Database) -> ValidateJobs:
    """What checks the files of new jobs."""
    objects = open_store(settings.object_store_url)
    return ValidateJobs(database, objects, every=settings.poll_seconds, max_file_bytes=settings.max_file_bytes)
