"""`endpoint`: a score from a server of the client's own, which gets the sample and its row."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from standardwebhooks import Webhook

from core.errors import RftError
from core.ids import new_id
from core.outbound import Outbound, OutboundFailed, OutboundRefused, Reply
from graders.base import FailureKind, Grade, GradeError, Sample
from graders.retry import FIRST_PAUSE_SECONDS, Persistence, TryAgain, failed, may_pass, retry_after
from graders.specs.endpoint import Endpoint

ATTEMPTS = 4
"""The first and three more, then the sample has no grade."""
SECONDS = 600.0
"""For one grade, retries included."""
MAX_BYTES = 1 << 20
"""Of a request, and of a reply."""
CONCURRENCY = 16


class _Unusable(Exception):
    """The endpoint's answer is none, and asking again will not change that."""


class EndpointGrader:
    """Posts `{"sample", "item", "trace_id"}` and reads `{"score"}`. What the endpoint says besides is never repeated."""

    type = "endpoint"

    def __init__(
        self, spec: Endpoint, outbound: Outbound, *, seconds: float = SECONDS, first_pause: float = FIRST_PAUSE_SECONDS
    ) -> None:
        self.name = spec.name
        self._url = spec.url
        self._headers = {**(spec.headers or {}), "content-type": "application/json"}
        self._signer = Webhook(spec.signing_secret) if spec.signing_secret else None
        self._outbound = outbound
        self._persistence = Persistence(attempts=ATTEMPTS, seconds=seconds, first_pause=first_pause)
        self._turns = _Turns(spec.rate_limit)

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        if not samples:
            return []
        with ThreadPoolExecutor(min(CONCURRENCY, len(samples)), thread_name_prefix="endpoint") as threads:
            return list(threads.map(self._grade_one, samples))

    def close(self) -> None:
        """Give up what is being tried again."""
        self._persistence.close()

    def _grade_one(self, sample: Sample) -> Grade | GradeError:
        started = time.monotonic()
        trace_id = new_id("trace_")
        body = json.dumps({"sample": sample.namespace(), "item": sample.item, "trace_id": trace_id}).encode()
        if len(body) > MAX_BYTES:
            return GradeError(FailureKind.ENDPOINT_INTERNAL, f"the sample and its row are larger than {MAX_BYTES} bytes")
        try:
            score = self._persistence.call(lambda left: self._once(trace_id, body, left))
        except OutboundRefused as error:
            return GradeError(FailureKind.ENDPOINT_INTERNAL, error.message, time.monotonic() - started)
        except (TryAgain, _Unusable, RftError) as error:
            return GradeError(FailureKind.ENDPOINT_SERVER, str(error), time.monotonic() - started)
        return Grade(score, time.monotonic() - started)

    def _once(self, trace_id: str, body: bytes, left: float) -> float:
        wait = self._turns.take()
        if wait >= left or not self._persistence.sleep(wait):
            raise TryAgain("the endpoint's rate_limit left no time for this sample")
        headers = {**self._headers, **self._signature(trace_id, body)}
        try:
            reply = self._outbound.send(
                "POST", self._url, headers=headers, content=body, timeout=left - wait, max_bytes=MAX_BYTES
            )
        except OutboundFailed as error:
            raise failed(error) from error
        if not 200 <= reply.status < 300:
            problem = f"the endpoint answered with status {reply.status}"
            raise TryAgain(problem, retry_after(reply.headers)) if may_pass(reply) else _Unusable(problem)
        return _score(reply)

    def _signature(self, trace_id: str, body: bytes) -> dict[str, str]:
        """Headers of Standard Webhooks (standardwebhooks.com): the trace's id is the message's."""
        if self._signer is None:
            return {}
        now = datetime.now(UTC)
        signature = self._signer.sign(trace_id, now, body.decode())
        return {"webhook-id": trace_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


class _Turns:
    """Spaces requests evenly: so many a second, counted over all threads."""

    def __init__(self, per_second: float | None) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self) -> float:
        """The seconds until the caller's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
            return turn - now


def _score(reply: Reply) -> float:
    try:
        score = json.loads(reply.content)["score"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise _Unusable("the endpoint's answer is no JSON object with a 'score'") from None
    try:
        number = float(score) if type(score) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Unusable("the endpoint's 'score' is not a finite number")
    return number
