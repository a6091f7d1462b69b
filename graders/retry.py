"""Asking again where a server is busy, slow or away: backoff with jitter, and a server that says when to come is heard."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, stop_when_event_set
from tenacity.nap import sleep_using_event

from core.outbound import OutboundFailed, Reply

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
_RETRIED_STATUSES = frozenset({408, 409, 425, 429})
_RETRIED_REASONS = frozenset({"resolve", "connect", "tls", "disconnected", "timeout", "protocol"})


class TryAgain(Exception):
    """A failure that may pass. `after` is how many seconds the server wants to be left alone, where it says so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Persistence:
    """Calls until it works: at most `attempts` times, within `seconds` in all, and not at all once it was closed."""

    def __init__(self, *, attempts: int, seconds: float, first_pause: float = FIRST_PAUSE_SECONDS) -> None:
        self._attempts = attempts
        self._seconds = seconds
        self._first_pause = first_pause
        self._closed = threading.Event()

    def call(self, function: Callable[[float], T]) -> T:
        """The result of `function`, which is given the seconds left. Raises the last `TryAgain`, or at once any other error."""
        deadline = time.monotonic() + self._seconds
        stop = stop_after_attempt(self._attempts) | stop_before_delay(self._seconds) | stop_when_event_set(self._closed)
        retrying = Retrying(
            retry=retry_if_exception_type(TryAgain),
            stop=stop,
            wait=self._pause,
            sleep=sleep_using_event(self._closed),
            reraise=True,
        )

        def attempt() -> T:
            if self._closed.is_set():
                raise TryAgain("it was given up")
            return function(max(deadline - time.monotonic(), 0.001))

        return retrying(attempt)

    def sleep(self, seconds: float) -> bool:
        """Wait; False where it was closed meanwhile."""
        return not self._closed.wait(seconds)

    def close(self) -> None:
        """End every pause; what fails from now on is not tried again."""
        self._closed.set()

    def _pause(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        longest = min(self._first_pause * 2**state.attempt_number, LONGEST_PAUSE_SECONDS)
        pause = random.uniform(longest / 4, longest)
        asked = failure.after if isinstance(failure, TryAgain) else None
        # Everyone who was sent away at the same time shall not come back at the same time.
        return pause if asked is None else asked + min(pause, asked / 4)


def may_pass(reply: Reply) -> bool:
    """Whether the same request may succeed later. The server's own word counts first (OpenAI's header `x-should-retry`)."""
    said = reply.headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return reply.status in _RETRIED_STATUSES or reply.status >= 500


def failed(error: OutboundFailed) -> Exception:
    """What to raise for a request without a whole reply: `TryAgain` where another may get one, else the error itself."""
    return TryAgain(error.message) if error.reason in _RETRIED_REASONS else error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a reply asks to wait (`retry-after-ms`, or `retry-after` in seconds or as a date), None where it does not."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        return max(0.0, (parsedate_to_datetime(headers["retry-after"]) - datetime.now(UTC)).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
