"""`/livez`: the process answers. `/readyz`: what it needs is there. Neither asks for a key."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.auth import ContextDep
from api.context import Context
from api.objects import Reply
from core.db import at_head
from core.errors import RftError
from core.storage.base import ObjectKey

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

Outcome = Literal["ok", "failed"]

_PROBE = ObjectKey.of("health", "probe")


class Readiness(Reply):
    """Whether requests can be served, and what each check says."""

    status: Outcome
    checks: dict[str, Outcome]


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Whether the event loop turns; depends on nothing, so that a database's outage restarts no API."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "A check has failed"}})
def readyz(context: ContextDep) -> JSONResponse:
    """Whether requests can be served: each check by name, 503 where one fails."""
    checks = {"database": _database, "migrations": _migrations, "object_store": _object_store}
    results = {name: _outcome(name, check, context) for name, check in checks.items()}
    ready = all(result == "ok" for result in results.values())
    body: dict[str, Any] = {"status": "ok" if ready else "failed", "checks": results}
    return JSONResponse(body, status_code=200 if ready else 503)


def _outcome(name: str, check: Callable[[Context], bool], context: Context) -> str:
    try:
        return "ok" if check(context) else "failed"
    except (RftError, SQLAlchemyError, OSError):
        log.exception("the check of %s failed", name)
        return "failed"


def _database(context: Context) -> bool:
    with context.database.read() as session:
        return bool(session.scalar(text("SELECT 1")) == 1)


def _migrations(context: Context) -> bool:
    return at_head(context.database)


def _object_store(context: Context) -> bool:
    """A write, which a full or a read-only disk refuses."""
    context.objects.put(_PROBE, [b"ok"])
    context.objects.delete(_PROBE)
    return True
