"""What can become of a request besides a reply."""

from __future__ import annotations

from typing import Literal

from core.errors import InvalidRequest, RftError

FailureReason = Literal["resolve", "connect", "tls", "disconnected", "timeout", "too_large", "encoding", "protocol"]


class OutboundRefused(InvalidRequest):
    """The URL, the address behind its name or a header is none that this service may use; nothing was sent."""

    code = "url_not_allowed"


class OutboundFailed(RftError):
    """No whole reply came. The message never quotes what the other side said.

    `reason` is one of: `resolve` (no such name), `connect` (no address accepts), `tls` (no trusted certificate), `disconnected`,
    `timeout` (the deadline of the whole request), `too_large`, `encoding` (a compressed reply), `protocol` (not HTTP).
    """

    status = 502
    code = "outbound_failed"
    type = "server_error"

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason
