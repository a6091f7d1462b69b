"""Metrics of what the database holds: the queue, leases, messages that are owed. Asked when Prometheus asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import RftError
from core.jobs.types import JobStatus
from core.tables import JobRow, OutboxRow, WebhookDeliveryRow

log = logging.getLogger(__name__)

OPEN = (JobStatus.VALIDATING_FILES, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED)
"""Jobs that are to go on. Ended ones are not counted: they may be many, and the index would be read through for a number."""

NAMES = {
    "touchstone_database_up": "1 where the database answers, else 0 and nothing else of this list.",
    "touchstone_jobs": "Jobs that have not ended, by status.",
    "touchstone_queue_oldest_seconds": "Age of the oldest queued job, from its creation; 0 where none waits.",
    "touchstone_leases_expired": "Running jobs whose lease has expired: their worker is lost and no other has them yet.",
    "touchstone_lease_overdue_seconds": "How long the longest expired lease of a running job has been so; 0 where all hold.",
    "touchstone_outbox_pending": "Messages that were written and not handed on yet.",
    "touchstone_webhooks_pending": "Webhooks on their way, those between attempts included.",
    "touchstone_webhook_oldest_seconds": "Age of the oldest webhook on its way; 0 where there is none.",
    "touchstone_state_seconds": "How long these questions took.",
}


class StateCollector(Collector):
    """Each API process gives the same answers, so take the largest over processes, not the sum."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """One value a metric, of jobs one a status. A database that does not answer is told, not raised."""
        begin = monotonic()
        values: dict[str, float] = {}
        statuses: dict[str, int] = {}
        try:
            with self._database.read() as session:
                statuses = _jobs(session)
                values = _values(session, self._database.time(session))
        except (RftError, SQLAlchemyError) as error:
            log.warning("the state of the queue cannot be told: %s", type(error).__name__)
        values |= {"touchstone_database_up": float(bool(statuses)), "touchstone_state_seconds": monotonic() - begin}
        for name, value in values.items():
            yield GaugeMetricFamily(name, NAMES[name], value=value)
        if statuses:
            jobs = GaugeMetricFamily("touchstone_jobs", NAMES["touchstone_jobs"], labels=("status",))
            for status, number in statuses.items():
                jobs.add_metric([status], number)
            yield jobs

    def describe(self) -> Iterator[Metric]:
        """The names alone, so that a registry takes this collector without a question to the database."""
        for name, text in NAMES.items():
            yield GaugeMetricFamily(name, text)


def _jobs(session: Session) -> dict[str, int]:
    counted = select(JobRow.status, func.count()).where(JobRow.status.in_(OPEN)).group_by(JobRow.status)
    found: dict[str, int] = {row[0]: row[1] for row in session.execute(counted)}
    return {status.value: found.get(status, 0) for status in OPEN}


def _values(session: Session, now: float) -> dict[str, float]:
    oldest = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.status == JobStatus.QUEUED))
    expired = select(func.count(), func.min(JobRow.lease_expires_at)).where(
        JobRow.status == JobStatus.RUNNING, JobRow.lease_expires_at <= now
    )
    leases, longest = session.execute(expired).one()
    owed = session.scalar(select(func.count()).select_from(OutboxRow).where(OutboxRow.sent_at.is_(None)))
    on_the_way = select(func.count(), func.min(WebhookDeliveryRow.created_at)).where(WebhookDeliveryRow.status == "pending")
    webhooks, oldest_webhook = session.execute(on_the_way).one()
    return {
        "touchstone_queue_oldest_seconds": _age(now, oldest),
        "touchstone_leases_expired": float(leases),
        "touchstone_lease_overdue_seconds": _age(now, longest),
        "touchstone_outbox_pending": float(owed or 0),
        "touchstone_webhooks_pending": float(webhooks),
        "touchstone_webhook_oldest_seconds": _age(now, oldest_webhook),
    }


def _age(now: float, moment: float | None) -> float:
    return 0.0 if moment is None else max(0.0, now - moment)
