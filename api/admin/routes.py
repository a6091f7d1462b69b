"""`/v1/organization`: what an admin key manages, in the shapes of `client.admin.organization` of OpenAI's client."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from api.admin import keys, projects
from api.admin.objects import AdminKeyObject, NewAdminKeyObject
from api.admin.schemas import CreateAdminKey, admin_key_object
from api.auth import ContextDep, administrator
from api.body import JsonBody, json_schema_of
from api.objects import Deleted, ListWithEnds
from api.paging import page_of
from api.validation import validated
from core.security.admin_keys import AdminKeyStore

router = APIRouter(prefix="/v1/organization", tags=["organization"], dependencies=[Depends(administrator)])


@router.post("/admin_api_keys", response_model=NewAdminKeyObject, openapi_extra=json_schema_of(CreateAdminKey))
def create_admin_key(context: ContextDep, body: JsonBody) -> JSONResponse:
    """A new admin key, whose secret is shown this once."""
    asked = validated(CreateAdminKey, body)
    key, secret = AdminKeyStore(context.database).create(asked.name, asked.expires_in_seconds)
    return JSONResponse(admin_key_object(key, secret))


@router.get("/admin_api_keys", response_model=ListWithEnds[AdminKeyObject])
def list_admin_keys(
    context: ContextDep,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> JSONResponse:
    """The admin keys; `RFT_ADMIN_KEY` is none of them."""
    found = AdminKeyStore(context.database).list()
    data = [admin_key_object(key) for key in (found if order == "desc" else reversed(found))]
    return JSONResponse(page_of(data, after=after, limit=limit))


@router.get("/admin_api_keys/{key_id}", response_model=AdminKeyObject)
def retrieve_admin_key(key_id: str, context: ContextDep) -> JSONResponse:
    """An admin key."""
    return JSONResponse(admin_key_object(AdminKeyStore(context.database).get(key_id)))


@router.delete("/admin_api_keys/{key_id}", response_model=Deleted)
def delete_admin_key(key_id: str, context: ContextDep) -> JSONResponse:
    """Make an admin key useless from now on."""
    AdminKeyStore(context.database).delete(key_id)
    return JSONResponse({"id": key_id, "object": "organization.admin_api_key.deleted", "deleted": True})


router.include_router(projects.router)
router.include_router(keys.router)
