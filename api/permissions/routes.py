"""`/v1/fine_tuning/checkpoints/{model}/permissions`: who else may sample from a checkpoint. Names may hold slashes (`%2F`)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.objects import Deleted, ListWithEnds
from api.paging import list_object
from api.permissions.objects import PermissionObject
from api.permissions.schemas import GrantPermissions, permission_object
from api.validation import validated
from core.jobs.permissions import PermissionStore

router = APIRouter(prefix="/v1/fine_tuning/checkpoints", tags=["fine-tuning"])

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post(
    "/{model:path}/permissions", response_model=ListWithEnds[PermissionObject], openapi_extra=json_schema_of(GrantPermissions)
)
def grant_permissions(model: str, caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Let other projects sample from a checkpoint of this one. Granting again changes nothing."""
    wanted = validated(GrantPermissions, body)
    granted = PermissionStore(context.database, caller.project_id).grant(model, wanted.project_ids)
    return JSONResponse(list_object([permission_object(one) for one in granted], has_more=False, with_ends=True))


@router.get("/{model:path}/permissions", response_model=ListWithEnds[PermissionObject])
def list_permissions(
    model: str,
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Limit = 10,
    order: Literal["ascending", "descending"] = "descending",
    project_id: str | None = None,
) -> JSONResponse:
    """The permissions on a checkpoint of the project, newest first; `project_id` keeps that of one other project."""
    page = PermissionStore(context.database, caller.project_id).list(
        model, after=after, limit=limit, ascending=order == "ascending", granted_to=project_id
    )
    data = [permission_object(permission) for permission in page.data]
    return JSONResponse(list_object(data, has_more=page.has_more, with_ends=True))


@router.delete("/{model:path}/permissions/{permission_id}", response_model=Deleted)
def revoke_permission(model: str, permission_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Take a permission away. Answers that are being written are finished."""
    PermissionStore(context.database, caller.project_id).revoke(model, permission_id)
    return JSONResponse({"id": permission_id, "object": "checkpoint.permission", "deleted": True})
