"""Every request as figures and as a span. Pure ASGI, outermost, so that nothing a request meets is left out."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.telemetry.metrics import HTTP_IN_PROGRESS, HTTP_REQUESTS, HTTP_SECONDS
from core.telemetry.tracing import Traces

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "other"
"""Stands for every method that HTTP does not know, and every path that no route has: clients choose those freely."""


class Observed:
    """Counts requests by route template and status, times them to the begin of their reply, and traces them to its end."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self.app = app
        self._traces = traces
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        """The metrics of each method, route and status that was met: the library's own look-up takes as long as all else here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = perf_counter()
        status = 0

        async def send_and_count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._count(scope, status, perf_counter() - begin)
            await send(message)

        method = _method(scope)
        HTTP_IN_PROGRESS.inc()
        try:
            with self._traces.span(method) as span:
                await self.app(scope, receive, send_and_count)
                span.name(f"{method} {route_of(scope)}")
                span.set(request_id=scope["state"]["request_id"], status=status)
        finally:
            HTTP_IN_PROGRESS.dec()

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        key = (_method(scope), route_of(scope), status)
        children = self._children.get(key)
        if children is None:
            children = HTTP_REQUESTS.labels(*key), HTTP_SECONDS.labels(*key[:2])
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)


def route_of(scope: Scope) -> str:
    """The template of the route that serves a request."""
    route = scope.get("route")
    return getattr(route, "path_format", OTHER)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else OTHER
