"""`/v1/organization/projects/{id}/service_accounts` and `…/api_keys`: who holds the keys of a project, and the keys."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from api.admin.objects import AccountObject, KeyObject, NewAccountObject, NewKeyObject
from api.admin.schemas import (
    CreateAccount,
    CreateKey,
    RotateKey,
    UpdateAccount,
    UpdateKey,
    account_object,
    key_object,
    new_key_object,
)
from api.auth import ContextDep
from api.body import JsonBody, OptionalJsonBody, json_schema_of
from api.context import Context
from api.objects import Deleted, ListWithEnds
from api.paging import page_of
from api.validation import validated
from core.errors import InvalidRequest, NotFound
from core.projects import ProjectStore
from core.security.keys import Key
from core.security.scopes import checked
from core.security.service_accounts import ServiceAccountStore

router = APIRouter(prefix="/projects/{project_id}")

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("/service_accounts", response_model=NewAccountObject, openapi_extra=json_schema_of(CreateAccount))
def create_account(project_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """A new service account with its first key, whose secret is shown this once."""
    asked = validated(CreateAccount, body)
    scopes = checked(asked.scopes)
    accounts = _accounts(context, project_id)
    if asked.create_service_account_only:
        if asked.expires_in_seconds is not None:
            message = "'expires_in_seconds' is for the account's first key, and none is wanted."
            raise InvalidRequest(message, param="expires_in_seconds", code="invalid_value")
        return JSONResponse({**account_object(accounts.create(asked.name, role="none")), "api_key": None})
    account = accounts.create(asked.name)
    key, secret = context.keys.create(
        project_id, asked.name, expires_in=asked.expires_in_seconds, scopes=scopes, service_account_id=account.id
    )
    return JSONResponse({**account_object(account), "api_key": new_key_object(key, secret)})


@router.get("/service_accounts", response_model=ListWithEnds[AccountObject])
def list_accounts(project_id: str, context: ContextDep, after: str | None = None, limit: Limit = 20) -> JSONResponse:
    """The project's service accounts, newest first."""
    found = _accounts(context, project_id).list()
    return JSONResponse(page_of([account_object(account) for account in found], after=after, limit=limit))


@router.get("/service_accounts/{account_id}", response_model=AccountObject)
def retrieve_account(project_id: str, account_id: str, context: ContextDep) -> JSONResponse:
    """A service account."""
    return JSONResponse(account_object(_accounts(context, project_id).get(account_id)))


@router.post("/service_accounts/{account_id}", response_model=AccountObject, openapi_extra=json_schema_of(UpdateAccount))
def update_account(project_id: str, account_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Another name or role."""
    asked = validated(UpdateAccount, body)
    return JSONResponse(account_object(_accounts(context, project_id).change(account_id, name=asked.name, role=asked.role)))


@router.delete("/service_accounts/{account_id}", response_model=Deleted)
def delete_account(project_id: str, account_id: str, context: ContextDep) -> JSONResponse:
    """Remove a service account and revoke its keys."""
    _accounts(context, project_id).delete(account_id)
    return JSONResponse({"id": account_id, "object": "organization.project.service_account.deleted", "deleted": True})


@router.post(
    "/service_accounts/{account_id}/api_keys",
    response_model=NewKeyObject,
    openapi_extra=json_schema_of(CreateKey, required=False),
)
def create_key(project_id: str, account_id: str, context: ContextDep, body: OptionalJsonBody) -> JSONResponse:
    """Another key of a service account, whose secret is shown this once."""
    asked = validated(CreateKey, body)
    account = _accounts(context, project_id).get(account_id)
    key, secret = context.keys.create(
        project_id,
        asked.name or account.name,
        expires_in=asked.expires_in_seconds,
        scopes=asked.scopes,
        service_account_id=account_id,
    )
    return JSONResponse(new_key_object(key, secret))


@router.get("/api_keys", response_model=ListWithEnds[KeyObject])
def list_keys(
    project_id: str,
    context: ContextDep,
    after: str | None = None,
    limit: Limit = 20,
    owner_project_access: Literal["active", "inactive", "any"] = "any",
) -> JSONResponse:
    """The keys that open the project, newest first. Their owners always have access to it."""
    accounts = {account.id: account for account in _accounts(context, project_id).list()}
    keys = () if owner_project_access == "inactive" else context.keys.list_good(project_id)
    data = [key_object(key, accounts.get(key.service_account_id or "")) for key in keys]
    return JSONResponse(page_of(data, after=after, limit=limit))


@router.get("/api_keys/{key_id}", response_model=KeyObject)
def retrieve_key(project_id: str, key_id: str, context: ContextDep) -> JSONResponse:
    """A key that opens the project."""
    found = next((key for key in context.keys.list_good(project_id) if key.id == key_id), None)
    if found is None:
        raise NotFound(f"No such API key: {key_id}", param="id")
    return JSONResponse(_shown(context, found))


@router.post("/api_keys/{key_id}", response_model=KeyObject, openapi_extra=json_schema_of(UpdateKey))
def update_key(project_id: str, key_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Set what a key may do, and when it expires."""
    asked = validated(UpdateKey, body)
    key = context.keys.change(project_id, key_id, expires_in=asked.expires_in_seconds, scopes=asked.scopes)
    return JSONResponse(_shown(context, key))


@router.post("/api_keys/{key_id}/rotate", response_model=NewKeyObject, openapi_extra=json_schema_of(RotateKey, required=False))
def rotate_key(project_id: str, key_id: str, context: ContextDep, body: OptionalJsonBody) -> JSONResponse:
    """A new key in a key's place, which works on for `overlap_seconds`; a route of this service's own."""
    asked = validated(RotateKey, body)
    key, secret = context.keys.rotate(project_id, key_id, overlap=asked.overlap_seconds)
    return JSONResponse(new_key_object(key, secret))


@router.delete("/api_keys/{key_id}", response_model=Deleted)
def delete_key(project_id: str, key_id: str, context: ContextDep) -> JSONResponse:
    """Make a key useless from now on."""
    context.keys.revoke(project_id, key_id)
    return JSONResponse({"id": key_id, "object": "organization.project.api_key.deleted", "deleted": True})


def _accounts(context: Context, project_id: str) -> ServiceAccountStore:
    """The accounts of a project that exists; raises `NotFound`."""
    ProjectStore(context.database).get(project_id)
    return ServiceAccountStore(context.database, project_id)


def _shown(context: Context, key: Key) -> dict[str, object]:
    if key.service_account_id is None:
        return key_object(key, None)
    return key_object(key, ServiceAccountStore(context.database, key.project_id).get(key.service_account_id))
