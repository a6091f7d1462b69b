"""The chores that bring messages to others: the outbox's relay, and the delivery of webhooks."""

from __future__ import annotations

import logging
import threading

from core.errors import RftError
from core.outbound import Outbound
from core.outbox import Relay
from core.security.box import SecretBox, SecretUnreadable
from core.telemetry.metrics import WEBHOOK_ATTEMPTS
from core.webhooks.deliveries import DeliveryQueue
from core.webhooks.send import send
from core.webhooks.types import Attempt, Outcome

log = logging.getLogger("worker.light.messages")

MAX_AT_ONCE = 16
"""Attempts of this process under way at a time."""


class RelayOutbox:
    """Hands on what the outbox owes."""

    name = "relay"
    every = 1.0

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def run(self) -> None:
        """Everything that is owed now."""
        self._relay.relay()


class DeliverWebhooks:
    """Takes deliveries that are due and makes their attempts in threads, so that no slow endpoint holds up another."""

    name = "webhooks"
    every = 1.0

    def __init__(self, queue: DeliveryQueue, outbound: Outbound, box: SecretBox) -> None:
        self._queue = queue
        self._outbound = outbound
        self._box = box
        self._free = threading.Semaphore(MAX_AT_ONCE)

    def run(self) -> None:
        """Begin as many attempts as may be under way; does not wait for them."""
        free = 0
        while self._free.acquire(blocking=False):
            free += 1
        attempts = self._queue.claim(free) if free else []
        for _ in range(free - len(attempts)):
            self._free.release()
        for attempt in attempts:
            threading.Thread(target=self._make, args=(attempt,), name=attempt.delivery_id, daemon=True).start()

    def _make(self, attempt: Attempt) -> None:
        try:
            outcome = self._outcome(attempt)
            WEBHOOK_ATTEMPTS.labels("delivered" if outcome.delivered else "refused" if outcome.status_code else "failed").inc()
            self._queue.record(attempt, outcome)
        except RftError as error:
            # The claim runs out, and the delivery is made again: at least once, under the same id.
            log.warning("webhook %s: its outcome is not kept: %s", attempt.delivery_id, error.message)
        finally:
            self._free.release()

    def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            secrets = [self._box.open(sealed) for sealed in attempt.sealed_secrets]
        except SecretUnreadable as error:
            log.error("webhook %s: %s", attempt.delivery_id, error.message)
            return Outcome(None, error.code)
        return send(self._outbound, attempt.url, secrets, attempt.delivery_id, attempt.timestamp, attempt.body)


class PurgeMessages:
    """Forgets messages and deliveries that are long done."""

    name = "purge"
    every = 3600.0

    def __init__(self, relay: Relay, queue: DeliveryQueue) -> None:
        self._relay = relay
        self._queue = queue

    def run(self) -> None:
        """Everything that is old by now."""
        self._relay.purge()
        self._queue.purge()
