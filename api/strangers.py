"""A limit for those without a good key: what is answered with 401 counts against the client's address."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_reply
from core.errors import RateLimited
from core.limits.base import RateLimiter
from core.telemetry.metrics import HTTP_STRANGERS_REFUSED

_SUBSCRIBER_BITS = 64
"""Of an IPv6 address: whoever has one has all the addresses below it."""


class StrangerLimit:
    """Answers 429 in place of 401 once an address has had `limit` of those in a minute. Good keys are never held up by others."""

    def __init__(self, app: ASGIApp, rates: RateLimiter, limit: int) -> None:
        self.app = app
        self._rates = rates
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 401:
                error = await self._refusal(scope)
                if error is not None:
                    refused = True
                    await error_reply(error)(scope, receive, send)
            if not refused:
                await send(message)

        await self.app(scope, receive, send_unless_refused)

    async def _refusal(self, scope: Scope) -> RateLimited | None:
        rate = await self._rates.take(f"address:{bucket_of(scope.get('client'))}", self._limit)
        if rate.retry_seconds is None:
            return None
        HTTP_STRANGERS_REFUSED.inc()
        message = (
            f"Too many requests without a good API key from your address: {rate.limit} a minute. "
            f"Please try again in {rate.retry_seconds:.3g} s."
        )
        return RateLimited(message, retry_seconds=rate.retry_seconds)


def bucket_of(client: tuple[str, int] | None) -> str:
    """What counts as one client: an IPv4 address, or the first half of an IPv6 one. Clients without an address are one."""
    if client is None:
        return "none"
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return "none"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
    return str(address)
