"""`/livez`: the process answers. `/readyz`: what it needs is there. Neither asks for a key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.context import Context
from api.objects import Reply
from core.errors import RftError
from core.schema import usable
from core.storage.base import ObjectKey

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

Outcome = Literal["ok", "failed"]

FRESH_SECONDS = 1.0
"""How long a finding holds. Anyone may ask, so that questions must not cost as many writes to the object store."""
_REDIS_SECONDS = 0.5
_PROBE = ObjectKey.of("health", "probe")


class Readiness(Reply):
    """Whether requests can be served, and what each check says. `redis` is there where one is set, and may fail alone."""

    status: Outcome
    checks: dict[str, Outcome]


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Whether the event loop turns; depends on nothing, so that a database's outage restarts no API."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "A check has failed"}})
def readyz(request: Request) -> JSONResponse:
    """Whether requests can be served: each check by name, 503 where one fails that requests need."""
    found = _findings.setdefault(request.app, _Finding()).get(request.app.state.context)
    return JSONResponse(found.model_dump(), status_code=200 if found.status == "ok" else 503)


class _Finding:
    """The last answer of one app. Who asks while it is looked for waits for it: a check that hangs takes one thread's time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[float, Readiness] | None = None

    def get(self, context: Context) -> Readiness:
        """What holds now."""
        with self._lock:
            if self._found is None or monotonic() - self._found[0] > FRESH_SECONDS:
                found = _look(context)
                self._found = (monotonic(), found)
            return self._found[1]


_findings: WeakKeyDictionary[object, _Finding] = WeakKeyDictionary()


def _look(context: Context) -> Readiness:
    needed = {"database": _database, "migrations": _migrations, "object_store": _object_store}
    # Without Redis requests are counted and events seen by each process alone: slower, but served.
    helpful = {"redis": _redis} if context.settings.redis_url else {}
    checks = {name: _outcome(name, check, context) for name, check in {**needed, **helpful}.items()}
    ready = all(checks[name] == "ok" for name in needed)
    return Readiness(status="ok" if ready else "failed", checks=checks)


def _outcome(name: str, check: Callable[[Context], bool], context: Context) -> Outcome:
    try:
        return "ok" if check(context) else "failed"
    except (RftError, SQLAlchemyError, OSError):
        log.exception("the check of %s failed", name)
        return "failed"


def _database(context: Context) -> bool:
    with context.database.read() as session:
        return bool(session.scalar(text("SELECT 1")) == 1)


def _migrations(context: Context) -> bool:
    return usable(context.database)


def _object_store(context: Context) -> bool:
    """A write, which a full or a read-only disk refuses."""
    context.objects.put(_PROBE, [b"ok"])
    context.objects.delete(_PROBE)
    return True


def _redis(context: Context) -> bool:
    import redis  # an embedded service pays nothing for it

    url = str(context.settings.redis_url)
    with closing(
        redis.Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS, retry=None)
    ) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            log.exception("Redis does not answer")
            return False
