"""Which light work there is."""

from __future__ import annotations

from collections.abc import Sequence

from core.db import Database
from core.jobs.sql_rows import WEBHOOK_TOPIC
from core.outbound import Outbound
from core.outbox import Relay
from core.security.box import SecretBox
from core.settings import Settings
from core.storage.base import ObjectStore
from core.storage.build import open_store
from core.webhooks.deliveries import DeliveryQueue, fan_out
from worker.light.base import Chore, Sweep
from worker.light.messages import DeliverWebhooks, PurgeMessages, RelayOutbox
from worker.light.orphans import ORPHAN_SECONDS, OrphanObjects
from worker.light.retention import CHECKPOINTS, ROLLOUTS, STATES, OfEndedJobs
from worker.light.sizes import FillSizes
from worker.light.sweep import ExpiredUploads, expired_files, old_results
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
        FillSizes(database, objects),
        *sweeps(settings, database, objects),
    ]


def sweeps(settings: Settings, database: Database, objects: ObjectStore, *, min_age: float = ORPHAN_SECONDS) -> Sequence[Sweep]:
    """What clears away: what has expired, what the settings let go of, and after that what no row names any more.

    `min_age` is the least age of an orphan, in seconds.
    """
    ended = [
        (STATES, settings.states_kept_days),
        (ROLLOUTS, settings.rollouts_kept_days),
        (CHECKPOINTS, settings.checkpoints_kept_days),
    ]
    results = settings.results_kept_days
    return [
        expired_files(database, objects),
        ExpiredUploads(database, objects),
        *(OfEndedJobs(database, objects, kind, days) for kind, days in ended if days is not None),
        *([] if results is None else [old_results(database, objects, results)]),
        OrphanObjects(database, objects, min_age=min_age),
    ]


def validation(settings: Settings, database: Database) -> ValidateJobs:
    """What checks the files of new jobs."""
    objects = open_store(settings.object_store_url)
    return ValidateJobs(database, objects, every=settings.poll_seconds, max_file_bytes=settings.max_file_bytes)
