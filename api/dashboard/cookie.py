"""The session's cookie, and which requests it counts for.

A browser sends a cookie along whoever made it send the request, so a cookie alone proves nothing:

- `Sec-Fetch-Site` must say that a page of this very origin made the request, or for reading that the user typed its address.
  Another port of the same host is another origin, though `SameSite` lets it pass.
- Browsers leave that header out where the service is reached by plain HTTP and another name than localhost. There `Origin`, which
  they send with every unsafe request, must be ours; replies to others' reads are kept from them by the browser, for no reply of
  this service carries a CORS header.
- What changes anything needs the header `x-rft-dashboard` besides, which no form can send.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from core.errors import Forbidden
from core.security.sessions import SESSION_SECONDS, NewSession

NAME = "rft_session"
CSRF_HEADER = "x-rft-dashboard"
_READS = ("GET", "HEAD")


def read_cookie(request: Request) -> str | None:
    """The session's secret, where the request has one."""
    return request.cookies.get(NAME) or None


def set_cookie(response: Response, request: Request, opened: NewSession) -> None:
    """Let the browser keep the session where no script can read it."""
    response.set_cookie(
        NAME,
        opened.secret,
        max_age=int(SESSION_SECONDS),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def drop_cookie(response: Response, request: Request) -> None:
    """Let the browser forget the session."""
    response.delete_cookie(NAME, path="/", secure=request.url.scheme == "https", httponly=True, samesite="strict")


def check_same_origin(request: Request) -> None:
    """Raises `Forbidden` for a request that a page of another origin may have caused."""
    reading = request.method in _READS
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site == "same-origin" or (reading and site == "none")
    elif origin is not None:
        ours = origin == f"{request.url.scheme}://{request.headers.get('host', '')}"
    else:
        ours = reading
    if not ours or not (reading or CSRF_HEADER in request.headers):
        message = f"A session of the dashboard counts for its own pages only, with the header {CSRF_HEADER}. Use an API key."
        raise Forbidden(message, code="cross_origin")
