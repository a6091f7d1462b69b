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


def chores(settings: Settings, database: Database) -> list[Chore]:
    """Every chore of this service. Workers look at jobs themselves, so of the outbox only webhooks are handed on."""
    relay = Relay(database, {WEBHOOK_TOPIC: fan_out})
    queue = DeliveryQueue(database)
    outbound = Outbound(allow_private=settings.allow_private_urls)
    return [
        RelayOutbox(relay),
        DeliverWebhooks(queue, outbound, SecretBox.load(settings)),
        PurgeMessages(relay, queue),
        *sweep_chores(database, open_store(settings.object_store_url)),
    ]
