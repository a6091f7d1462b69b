"""Pure ASGI middleware: what every reply carries, and what no request may exceed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import envelope, error_body
from core.errors import InvalidRequest, RftError, TooLarge
from core.ids import new_id

log = logging.getLogger(__name__)

API_VERSION = "2020-10-01"
"""OpenAI's only version of this API; its header is part of the protocol."""


class ReplyHeaders:
    """Adds `x-request-id`, `openai-processing-ms` and `openai-version`, and answers what nobody caught with a plain 500.

    The request's id stands in `scope["state"]["request_id"]` and beside the traceback in the log, never the other way round.
    """

    def __init__(self, app: ASGIApp, organization: str) -> None:
        self.app = app
        self.organization = organization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_id("req_")
        scope.setdefault("state", {})["request_id"] = request_id
        replied = False

        async def send_with_headers(message: Message) -> None:
            nonlocal replied
            if message["type"] == "http.response.start":
                replied = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["openai-organization"] = self.organization
                headers["openai-processing-ms"] = str(round((time.perf_counter() - started) * 1000))
                headers["openai-version"] = API_VERSION
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


class BodyLimit:
    """Refuses bodies over a limit, counting the bytes that come and not what `content-length` promises.

    `limits` gives the limit of single paths where it differs from `default`. Paths and queries with a NUL are refused as well:
    no id has one, and PostgreSQL accepts none.
    """

    def __init__(self, app: ASGIApp, default: int, limits: Mapping[str, int]) -> None:
        self.app = app
        self.default = default
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.get(scope["path"], self.default)
        body = _Body(receive, limit)

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

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0
        self._complete = False

    async def receive(self) -> Message:
        """The next message; raises `TooLarge` once more has come than the limit."""
        message = await self._next()
        if self._received > self._limit:
            raise _over(self._limit)
        return message

    async def drain(self) -> None:
        """Read what is left and drop it."""
        while not self._complete and self._received <= 2 * self._limit:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message


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
