"""Who is calling: the bearer key of a request names its project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.context import Context, get_context


@dataclass(frozen=True)
class Caller:
    """The project for which a request acts. Every store that answers it is made for this project."""

    project_id: str
    key_id: str


_bearer = HTTPBearer(auto_error=False, description="A key made by `rft keys create`.")


def caller(
    context: Annotated[Context, Depends(get_context)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The owner of the request's key; raises `Unauthorized`."""
    key = context.keys.authenticate(None if credentials is None else credentials.credentials)
    return Caller(project_id=key.project_id, key_id=key.id)


CallerDep = Annotated[Caller, Depends(caller)]
ContextDep = Annotated[Context, Depends(get_context)]
