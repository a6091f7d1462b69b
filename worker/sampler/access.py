"""Who may use a sampler that listens on a network: whoever knows the secret that this service's processes share."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN = "/livez"


class TokenRequired:
    """Answers 401 to every request without the token, but for the one that asks whether the process lives."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request, or its refusal."""
        if scope["type"] == "http" and scope["path"] != _OPEN and not self._allowed(scope):
            error = {"message": "This sampler answers its own service only.", "type": "invalid_request_error", "param": None}
            await JSONResponse({"error": {**error, "code": "invalid_api_key"}}, status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        return hmac.compare_digest(Headers(scope=scope).get("authorization", "").encode(), self._expected)
