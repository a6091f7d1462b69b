"""`rft scheduler`: hands on what the outbox owes, and sends again whatever the rows say is due.

Any number of schedulers may run: what two of them send twice is done once. None of them holds a state that could be lost.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from time import monotonic

from sqlalchemy.orm import Session

from core.bell import Bell
from core.errors import Unavailable
from core.jobs.sql_leases import SqlLeaseStore, find_due
from core.jobs.sql_rows import DISPATCH_TOPIC, VALIDATE_TOPIC, WEBHOOK_TOPIC
from core.jobs.types import JobStatus
from core.outbox import Message, Relay
from core.settings import Settings, get_settings
from core.telemetry.pulse import Pulse
from core.telemetry.server import serve_metrics
from core.wakeups import Moved, listen, open_database
from core.webhooks.deliveries import fan_out
from worker.celery_app import GPU_QUEUE, LIGHT_QUEUE, celery_app
from worker.light.build import light_chores
from worker.light.messages import DeliverWebhooks
from worker.process import begin, on_end, redis_url
from worker.tasks import Doorbells

log = logging.getLogger("worker.scheduler")

_RESENT_AT_ONCE = 100


class Scheduler:
    """`tick` is one look at outbox and jobs."""

    def __init__(self, settings: Settings, doorbells: Doorbells) -> None:
        self._settings = settings
        self._doorbells = doorbells
        self._database = open_database(settings)
        self._leases = SqlLeaseStore(self._database)
        self._relay = Relay(
            self._database, {VALIDATE_TOPIC: self._note, DISPATCH_TOPIC: self._note, WEBHOOK_TOPIC: self._fan_out}
        )
        self._chores = {chore.name: max(chore.every, settings.look_seconds) for chore in light_chores(settings, self._database)}
        self._relayed: list[Message] = []
        self._resend_at = 0.0
        self._bell = Bell()
        self._stopping = False
        self._pulse = Pulse()
        self._metrics = serve_metrics(settings, self._pulse)

    def serve(self) -> None:
        """Tick until `stop`; a database that is away for a while is waited for."""
        while not self._stopping:
            try:
                self.tick()
            except Unavailable as error:
                log.warning("%s", error.message)
            self._pulse.beat()
            self._bell.wait(self._settings.poll_seconds)

    def stop(self) -> None:
        """Leave `serve` after the tick under way."""
        self._stopping = True
        self._bell.ring()

    def heard(self, moved: Moved | None) -> None:
        """Look soon where the outbox may owe something."""
        if moved is None or moved.status != JobStatus.RUNNING:
            self._bell.ring()

    def tick(self) -> None:
        """Hand on what is owed; now and then send again what is due."""
        self._relay.relay()
        relayed, self._relayed = self._relayed, []
        for message in relayed:
            self._ring(message)
        if monotonic() >= self._resend_at:
            self._resend_at = monotonic() + self._settings.look_seconds
            self.resend()

    def resend(self) -> None:
        """Ring for every job and chore that is due; never more messages than there are due jobs wait for a worker."""
        waiting = self._doorbells.waiting(GPU_QUEUE)
        if waiting is not None:
            for job_id in find_due(self._database, _RESENT_AT_ONCE)[waiting:]:
                self._doorbells.run(job_id)
        if self._doorbells.waiting(LIGHT_QUEUE) == 0:
            for job in self._leases.unvalidated():
                self._doorbells.validate(job.id)
        for name, every in self._chores.items():
            self._doorbells.chore(name, every)

    # Nothing is sent before the relay's transaction stands: nobody shall be rung for what cannot be seen yet.
    def _note(self, _session: Session, message: Message) -> None:
        self._relayed.append(message)

    def _fan_out(self, session: Session, message: Message) -> None:
        fan_out(session, message)
        self._note(session, message)

    def _ring(self, message: Message) -> None:
        if message.topic == WEBHOOK_TOPIC:
            self._doorbells.chore(DeliverWebhooks.name)
        elif message.topic == DISPATCH_TOPIC:
            self._doorbells.run(message.payload["job_id"])
        else:
            self._doorbells.validate(message.payload["job_id"])


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    begin("worker.scheduler", arguments)
    settings = get_settings()
    url = redis_url(settings)
    scheduler = Scheduler(settings, Doorbells(celery_app(url), url))
    on_end(scheduler.stop)
    listen(settings, scheduler.heard)
    scheduler.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
