"""What a restricted key may do: scopes in OpenAI's form, `api.<resource>.read` and `api.<resource>.write`.

A key without scopes may do everything its project may. `write` includes `read`; `api.all.read` reads everything; `model.request`
is for asking models (`/v1/chat/completions`, `/v1/responses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from core.errors import InvalidRequest

READ_ALL = "api.all.read"
MODEL_REQUEST = "model.request"
RESOURCES = ("files", "fine_tuning", "models", "evals", "webhooks")
SCOPES = (READ_ALL, MODEL_REQUEST, *(f"api.{resource}.{access}" for resource in RESOURCES for access in ("read", "write")))

_RESOURCE_OF = {"uploads": "files", "webhook_endpoints": "webhooks", "webhook_event_types": "webhooks"}
_MODEL_PATHS = ("chat", "completions", "responses")
_READS = ("GET", "HEAD")


def checked(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes without repetitions; raises `InvalidRequest` for one that does not exist."""
    for scope in scopes:
        if scope not in SCOPES:
            message = f"Invalid value for 'scopes': '{scope[:64]}' is none of {', '.join(SCOPES)}."
            raise InvalidRequest(message, param="scopes", code="invalid_value")
    return tuple(dict.fromkeys(scopes))


def allows(scopes: Sequence[str], needed: str) -> bool:
    """Whether a key of these scopes may do what needs the scope `needed`."""
    if not scopes or needed in scopes:
        return True
    if not needed.endswith(".read"):
        return False
    return READ_ALL in scopes or f"{needed.removesuffix('read')}write" in scopes


@lru_cache(maxsize=1024)
def scope_of(method: str, resource: str) -> str:
    """The scope that a request needs; `resource` is the first part of its path below `/v1/`."""
    if resource in _MODEL_PATHS and method not in _READS:
        return MODEL_REQUEST
    access = "read" if method in _READS else "write"
    return f"api.{_RESOURCE_OF.get(resource, resource)}.{access}"
