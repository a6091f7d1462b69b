"""What the log of a sampler says of a request: the id under which the API knows it."""

from __future__ import annotations

import logging
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.telemetry.context import bound

log = logging.getLogger(__name__)

HEADER = "x-request-id"
_ID = re.compile(r"req_[A-Za-z0-9]{1,64}")


class RequestIds:
    """Names requests in the log by the id that the API gave them, and tells which of them failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_tell(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                log.warning("%s %s: answered with %d", scope["method"], scope["path"], message["status"])
            await send(message)

        name = Headers(scope=scope).get(HEADER, "")
        with bound(**({"request_id": name} if _ID.fullmatch(name) else {})):
            await self._app(scope, receive, send_and_tell)
