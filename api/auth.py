"""Who is calling: the bearer key of a request names its project, tells what it may do there, and how often."""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette.concurrency import run_in_threadpool

from api.context import Context, get_context
from api.dashboard.cookie import check_same_origin, read_cookie
from core.errors import Forbidden, RateLimited, Unauthorized
from core.security.admin_keys import AdminKeyStore
from core.security.keys import Holder, digest_of, incorrect
from core.security.scopes import allows, scope_of
from core.security.secrets import ADMIN_PREFIX, digest
from core.security.uses import RESOLUTION_SECONDS
from core.telemetry.context import bind

_JOB_ID = re.compile(r"ftjob-[A-Za-z0-9]{1,64}")


@dataclass(frozen=True)
class Caller:
    """The project for which a request acts. Every store that answers it is made for this project."""

    project_id: str
    key_id: str


class ProjectKey(SecurityBase):
    """The owner of the request's key; raises `Unauthorized`, `Forbidden`, `RateLimited`.

    The key is looked up for every request: one that is revoked opens nothing from that moment on, in all API processes. One
    object is both the scheme in the OpenAPI document and the dependency: FastAPI takes its time for each dependency.
    """

    def __init__(self) -> None:
        self.scheme_name = "project_key"
        self.model = HTTPBearerModel(description="A project's key, made by `rft keys create`.")

    async def __call__(self, request: Request) -> Caller:
        """The caller of a request."""
        context: Context = request.app.state.context
        secret = _bearer(request)
        if secret is None and read_cookie(request) is not None:
            holder = await signed_in(request)
        else:
            found = await context.lookups.holders.get(digest_of(secret))
            if found is None:
                raise await _refusal(context, secret or "")
            holder = found
        bind(project_id=holder.project_id, **_job_of(request))
        _check(holder, request)
        if holder.last_used_at is None or time.time() - holder.last_used_at >= RESOLUTION_SECONDS:
            context.uses.note(holder.key_id)
        rate = await context.rates.take(holder.project_id, holder.requests_per_minute or context.limits.requests_per_minute)
        request.scope["state"]["rate"] = rate
        if rate.retry_seconds is not None:
            message = (
                f"Rate limit reached for requests in the project {holder.project_id}: {rate.limit} a minute. "
                f"Please try again in {rate.retry_seconds:.3g} s."
            )
            raise RateLimited(message, retry_seconds=rate.retry_seconds)
        return Caller(project_id=holder.project_id, key_id=holder.key_id)


class AdminKey(SecurityBase):
    """Lets admin keys in: `RFT_ADMIN_KEY` and those in the database. Raises `Unauthorized`, for a project's key `Forbidden`."""

    def __init__(self) -> None:
        self.scheme_name = "admin_key"
        self.model = HTTPBearerModel(description="`RFT_ADMIN_KEY`, or a key made with it.")

    async def __call__(self, request: Request) -> None:
        """Returns where the request may go on."""
        context: Context = request.app.state.context
        secret = _bearer(request)
        wanted = digest_of(secret)
        if await _is_admin(context, secret or ""):
            return
        if await context.lookups.holders.get(wanted) is not None:
            raise Forbidden("This route manages the organization and needs an admin key: RFT_ADMIN_KEY, or one made with it.")
        raise incorrect(secret)


caller = ProjectKey()
administrator = AdminKey()
CallerDep = Annotated[Caller, Depends(caller)]
ContextDep = Annotated[Context, Depends(get_context)]


async def signed_in(request: Request) -> Holder:
    """Whom the dashboard's cookie signs in; raises `Unauthorized`, `Forbidden` where another origin may be behind the request."""
    context: Context = request.app.state.context
    check_same_origin(request)
    secret = read_cookie(request)
    holder = None if secret is None else await context.lookups.sessions.get(digest(secret))
    if holder is None:
        raise Unauthorized("You are not signed in, or your session has ended. Sign in with an API key.", code="no_session")
    return holder


def _job_of(request: Request) -> dict[str, str]:
    """The job that the request is about, for the log: a name that cannot be one of ours is the client's own text."""
    job_id = request.path_params.get("job_id", "")
    return {"job_id": job_id} if _JOB_ID.fullmatch(job_id) else {}


def _bearer(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _check(holder: Holder, request: Request) -> None:
    if holder.archived:
        raise Forbidden("The project of this API key has been archived.", code="project_archived")
    project = request.headers.get("openai-project")
    if project and project != holder.project_id:
        raise Unauthorized("OpenAI-Project header should match project for API key", code="mismatched_project")
    if holder.scopes:
        needed = scope_of(request.method, request.url.path.split("/")[2])
        if not allows(holder.scopes, needed):
            message = f"You have insufficient permissions for this operation. Missing scopes: {needed}."
            raise Forbidden(message, code="missing_scope")


async def _refusal(context: Context, secret: str) -> Unauthorized | Forbidden:
    if await _is_admin(context, secret):
        return Forbidden("An admin key opens the routes below /v1/organization only; this one needs a project's key.")
    return incorrect(secret)


async def _is_admin(context: Context, secret: str) -> bool:
    own = context.settings.admin_key
    if own and hmac.compare_digest(secret.encode(), own.encode()):
        return True
    if not secret.startswith(ADMIN_PREFIX):
        return False
    return await run_in_threadpool(AdminKeyStore(context.database).opens, secret)
