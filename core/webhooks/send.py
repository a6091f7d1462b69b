"""One attempt to hand an event to an endpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from core.outbound import Outbound, OutboundFailed, OutboundRefused
from core.webhooks.signature import signed_headers
from core.webhooks.types import Outcome

SEND_SECONDS = 10.0
"""The time an endpoint has to answer."""
_MAX_REPLY = 64 * 1024
"""The reply's body means nothing; what is longer is a fault all the same."""


def send(outbound: Outbound, url: str, secrets: Sequence[str], webhook_id: str, timestamp: int, body: str) -> Outcome:
    """POST the signed body to the URL. Every failure to do so is an outcome too."""
    headers = {
        "content-type": "application/json",
        "user-agent": "Touchstone-Webhooks/1",
        **signed_headers(secrets, webhook_id, timestamp, body),
    }
    try:
        reply = outbound.send("POST", url, headers=headers, content=body.encode(), timeout=SEND_SECONDS, max_bytes=_MAX_REPLY)
    except OutboundFailed as failure:
        return Outcome(None, failure.reason)
    except OutboundRefused as refusal:
        return Outcome(None, refusal.code)
    return Outcome(reply.status, None, retry_after=_seconds_of(reply.headers.get("retry-after", "")))


def _seconds_of(retry_after: str) -> float | None:
    """The header in seconds from now, whichever of its two forms it has (RFC 9110, section 10.2.3)."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
