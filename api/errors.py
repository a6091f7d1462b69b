"""Every failure in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`, all four keys always present.

Rules raise `core.errors.RftError`; the handlers here turn it, and what FastAPI and Starlette raise, into replies. What nobody
expected becomes a plain 500 in `api.middleware`, where the request's id is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.validation import complaint
from core.errors import RateLimited, RftError

Json = dict[str, Any]

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
RETRY_AFTER_SECONDS = "5"
NO_RETRY = {"x-should-retry": "false"}
"""For errors that the same request meets again: OpenAI's client would repeat some of them all the same."""


def envelope(message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None) -> Json:
    """The body of an error reply; `kind` becomes the envelope's `type`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_body(error: RftError) -> Json:
    """The envelope of one of our own errors."""
    return envelope(error.message, kind=error.type, param=error.param, code=error.code)


def error_reply(error: RftError) -> JSONResponse:
    """The reply to one of our own errors, with what a client needs to know before it tries again."""
    return JSONResponse(error_body(error), status_code=error.status, headers=_error_headers(error))


def _error_headers(error: RftError) -> dict[str, str]:
    if isinstance(error, RateLimited):
        milliseconds = math.ceil(error.retry_seconds * 1000)
        return {"retry-after": str(math.ceil(error.retry_seconds)), "retry-after-ms": str(milliseconds)}
    if error.status == 503:
        return {"retry-after": RETRY_AFTER_SECONDS, "retry-after-ms": f"{RETRY_AFTER_SECONDS}000"}
    if error.status == 401:
        return {"www-authenticate": "Bearer", **NO_RETRY}
    passing = error.status == 408 or (error.status >= 500 and error.status != 507)
    return {} if passing else NO_RETRY


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every failure in the envelope."""
    app.add_exception_handler(RftError, _on_rft_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, _on_http_exception)


def _on_rft_error(_request: Request, error: Exception) -> JSONResponse:
    return error_reply(cast(RftError, error))


def _on_invalid_parameters(_request: Request, error: Exception) -> JSONResponse:
    """Of path and query; bodies are checked by `api.validation` itself."""
    errors = cast(RequestValidationError, error).errors()
    return error_reply(complaint([{**item, "loc": item["loc"][1:]} for item in errors]))


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    problem = cast(HTTPException, error)
    where = f"{request.method} {request.url.path}"
    if problem.status_code == 404:
        body = envelope(f"Unknown request URL: {where}. Please check the URL for typos.", code="unknown_url")
    elif problem.status_code == 405:
        body = envelope(f"Not allowed: {where}. Please check the method.", code="method_not_supported")
    else:
        body = envelope(str(problem.detail))
    headers: Mapping[str, str] | None = {"allow": _allowed(request)} if problem.status_code == 405 else problem.headers
    return JSONResponse(body, status_code=problem.status_code, headers={**NO_RETRY, **(headers or {})})


def _allowed(request: Request) -> str:
    """Every method that the path knows: Starlette tells those of the first route alone."""
    routes = request.app.router.routes

    def is_known(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)

    return ", ".join(method for method in METHODS if is_known(method))
