"""`/dashboard`: the pages, and signing in to them. What the pages show comes from the same `/v1` routes as for everybody else."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from api.auth import ContextDep, signed_in
from api.body import JsonBody, json_schema_of
from api.dashboard.assets import assets, plotly
from api.dashboard.cookie import check_same_origin, drop_cookie, read_cookie, set_cookie
from api.dashboard.objects import SessionObject
from api.dashboard.schemas import SignIn, session_object
from api.dashboard.service import sign_in
from api.validation import validated
from core.errors import NotFound
from core.security.sessions import SessionStore

router = APIRouter(tags=["dashboard"])

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every page and file: scripts and styles are our own files, nothing inline, nothing evaluated, and no page frames ours."""


@router.post("/dashboard/session", response_model=SessionObject, openapi_extra=json_schema_of(SignIn))
def create_session(request: Request, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Sign in with an API key, or with the token of a link that `rft serve` printed: sets the session's cookie."""
    check_same_origin(request)
    opened, holder = sign_in(context, validated(SignIn, body))
    response = JSONResponse(session_object(holder.project_id, holder.scopes))
    set_cookie(response, request, opened)
    return response


@router.get("/dashboard/session", response_model=SessionObject)
async def show_session(request: Request) -> JSONResponse:
    """Whom the cookie signs in; 401 where nobody is."""
    holder = await signed_in(request)
    return JSONResponse(session_object(holder.project_id, holder.scopes), headers={"cache-control": "no-store"})


@router.delete("/dashboard/session", status_code=204, response_class=Response)
async def end_session(request: Request, context: ContextDep) -> Response:
    """Sign out. The session is gone for every copy of its cookie."""
    check_same_origin(request)
    secret = read_cookie(request)
    if secret is not None:
        await run_in_threadpool(SessionStore(context.database).close, secret)
    response = Response(status_code=204)
    drop_cookie(response, request)
    return response


@router.get("/dashboard/assets/{version}/{path:path}", include_in_schema=False)
async def asset(version: str, path: str, request: Request) -> Response:
    """A file of the pages. Another version's address is refused, for it would be kept for ever."""
    found = assets().files.get(path) if version == assets().version else None
    if found is None:
        raise NotFound(f"There is no file {path} of this version. Please reload the page.", code="unknown_url")
    return _guarded(found.reply(request))


@router.get("/dashboard/vendor/{version}/plotly.min.js", include_in_schema=False)
async def chart_library(version: str, request: Request) -> Response:  # noqa: ARG001  # changes with the package
    """The chart library, from its own package."""
    return _guarded((await run_in_threadpool(plotly)).reply(request))


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """The service's address in a browser."""
    return RedirectResponse("/dashboard", status_code=307)


@router.get("/dashboard", include_in_schema=False)
@router.get("/dashboard/{path:path}", include_in_schema=False)
async def page(request: Request, path: str = "") -> Response:  # noqa: ARG001  # the page's script reads it
    """The page, the same for all addresses."""
    return _guarded(assets().index.reply(request, "no-cache"))


def _guarded(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
