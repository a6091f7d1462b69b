"""How tests know that a served app is done with what they have sent."""

from __future__ import annotations

from typing import Any


class Counted:
    """An app, and how many requests it is at."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.in_flight = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.in_flight += scope["type"] == "http"
        try:
            await self._app(scope, receive, send)
        finally:
            self.in_flight -= scope["type"] == "http"
