"""Pure ASGI middleware: what every reply carries, and what no request may exceed."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import envelope, error_body
from core.errors import InvalidRequest, RftError, TooLarge
from core.ids import new_id
from core.limits.base import Rate
from core.telemetry.context import bind

log = logging.getLogger(__name__)

API_VERSION = b"2020-10-01"
"""OpenAI's only version of this API; its header is part of the protocol."""
STALL_SECONDS = 60.0
"""After which a client that sends nothing more of its body has gone."""


class ReplyHeaders:
    """The headers of every reply, and a plain 500 for what nobody caught.

    `x-request-id`, `openai-organization`, `openai-processing-ms`, `openai-version`; `x-ratelimit-*` where
    `scope["state"]["rate"]` holds what the request found left. The request's id stands in `scope["state"]["request_id"]` and
    beside the traceback in the log, never the other way round.
    """

    def __init__(self, app: ASGIApp, organization: str) -> None:
        self.app = app
        self._fixed = [(b"openai-organization", organization.encode("latin-1", "replace")), (b"openai-version", API_VERSION)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_id("req_")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        bind(request_id=request_id)
        replied = False

        async def send_with_headers(message: Message) -> None:
            nonlocal replied
            if message["type"] == "http.response.start":
                replied = True
                milliseconds = round((time.perf_counter() - started) * 1000)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"openai-processing-ms", b"%d" % milliseconds),
                    *self._fixed,
                    *_rate_headers(state.get("rate")),
                ]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("%s %s: the client hung up (%s)", scope["method"], scope["path"], request_id)
        except Exception:
            log.exception("%s %s failed (%s)", scope["method"], scope["path"], request_id)
            if replied:
                raise
            text = f"The server had an error while processing your request. Its log names the cause under {request_id}."
            await _reply(send_with_headers, 500, envelope(text, kind="server_error", code="internal_error"))


class Stalled(RftError):
    """The client stopped in the midst of the body. Its next attempt may do better: OpenAI's client retries 408."""

    status = 408
    code = "request_timeout"


class BodyLimit:
    """Refuses bodies over a limit, counting the bytes that come and not what `content-length` promises.

    `limits` gives the limit of paths, as regular expressions, where it differs from `default`. Paths and queries with a NUL are
    refused as well: no id has one, and PostgreSQL accepts none. A client that sends nothing for `stall_seconds` in the midst of a
    body has gone.
    """

    def __init__(self, app: ASGIApp, default: int, limits: Mapping[str, int], stall_seconds: float = STALL_SECONDS) -> None:
        self.app = app
        self.default = default
        self.limits = [(re.compile(path), limit) for path, limit in limits.items()]
        self.stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next((limit for path, limit in self.limits if path.fullmatch(scope["path"])), self.default)
        body = _Body(receive, limit, self.stall_seconds)

        async def send_when_read(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await body.drain()
            await send(message)

        refusal = _refusal(scope, limit)
        if refusal is not None:
            await _reply(send_when_read, refusal.status, error_body(refusal))
            return
        await self.app(scope, body.receive, send_when_read)


class _Body:
    """A request's body as it comes in, counted.

    Most clients read no reply before they have sent all; where the connection closes under them they see a reset in place of the
    error. So an error waits for the rest of the body, up to as much again as the limit, and drops it.
    """

    def __init__(self, receive: Receive, limit: int, stall_seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._stall_seconds = stall_seconds
        self._received = 0
        self._complete = False

    async def receive(self) -> Message:
        """The next message; raises `TooLarge` once more has come than the limit, `Stalled` where the client falls silent."""
        message = await self._next()
        if self._received > self._limit:
            raise _over(self._limit)
        return message

    async def drain(self) -> None:
        """Read what is left and drop it."""
        with suppress(Stalled):
            while not self._complete and self._received <= 2 * self._limit:
                await self._next()

    async def _next(self) -> Message:
        if self._complete:  # what comes now is the news that the client has hung up, and that may take its time
            return await self._receive()
        try:
            async with asyncio.timeout(self._stall_seconds):
                message = await self._receive()
        except TimeoutError:
            raise Stalled(f"Nothing more of the body has come for {self._stall_seconds:g} seconds.") from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message


def _rate_headers(rate: Rate | None) -> list[tuple[bytes, bytes]]:
    if rate is None:
        return []
    return [
        (b"x-ratelimit-limit-requests", b"%d" % rate.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % rate.remaining),
        (b"x-ratelimit-reset-requests", duration(rate.reset_seconds).encode()),
    ]


def duration(seconds: float) -> str:
    """A time as OpenAI's rate-limit headers write it: `12ms`, `1s`, `6m0s`."""
    if seconds < 1.0:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _refusal(scope: Scope, limit: int) -> RftError | None:
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return InvalidRequest("The URL holds a NUL character.", code="invalid_value")
    promised = Headers(scope=scope).get("content-length", "")
    if promised.isdecimal() and (len(promised) > 18 or int(promised) > limit):
        return _over(limit)
    return None


def _over(limit: int) -> TooLarge:
    return TooLarge(f"The body is over the limit of {limit} bytes.")


async def _reply(send: Send, status: int, body: Mapping[str, object]) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
