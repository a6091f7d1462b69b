"""Who is calling: the bearer key of a request names its project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from api.context import Context, get_context


@dataclass(frozen=True)
class Caller:
    """The project for which a request acts. Every store that answers it is made for this project."""

    project_id: str
    key_id: str


class BearerKey(HTTPBearer):
    """Documents the scheme in the OpenAPI document; `caller` does the check, with errors in the envelope."""

    def __init__(self) -> None:
        super().__init__(auto_error=False, description="A key made by `rft keys create`.")


def caller(request: Request, context: Annotated[Context, Depends(get_context)]) -> Caller:
    """The owner of the request's key; raises `Unauthorized` in the same words for unknown, expired and malformed keys."""
    scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
    key = context.keys.authenticate(secret if scheme.lower() == "bearer" else None)
    return Caller(project_id=key.project_id, key_id=key.id)


CallerDep = Annotated[Caller, Depends(caller)]
ContextDep = Annotated[Context, Depends(get_context)]
