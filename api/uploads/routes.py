"""`/v1/uploads`."""

from __future__ import annotations

from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.files.intake import take_in
from api.uploads import service
from api.uploads.objects import PartObject, UploadObject
from api.uploads.schemas import CompleteUpload, CreateUpload, part_object, upload_object

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_PART_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {"data": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("", response_model=UploadObject, openapi_extra=json_schema_of(CreateUpload))
def create_upload(caller: CallerDep, body: JsonBody, context: ContextDep) -> JSONResponse:
    """Announce a file that comes in parts, within an hour."""
    return JSONResponse(upload_object(service.create(context.uploads(caller.project_id), body)))


@router.post("/{upload_id}/parts", response_model=PartObject, openapi_extra=_PART_FORM)
async def create_part(upload_id: str, request: Request, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Take in one part. Parts may come at the same time and in any order."""
    content_type = request.headers.get("content-type", "")
    work = partial(service.add_part, context.uploads(caller.project_id), upload_id, content_type)
    return JSONResponse(part_object(await take_in(request.stream(), work, limiter=context.intake)))


@router.post("/{upload_id}/complete", response_model=UploadObject, openapi_extra=json_schema_of(CompleteUpload))
async def complete_upload(upload_id: str, caller: CallerDep, body: JsonBody, context: ContextDep) -> JSONResponse:
    """Join the parts, in the order given, to a file."""
    work = partial(service.complete, context.uploads(caller.project_id), upload_id, body)
    return JSONResponse(upload_object(await run_sync(work, limiter=context.joining)))


@router.post("/{upload_id}/cancel", response_model=UploadObject)
def cancel_upload(upload_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Drop the upload and its parts."""
    return JSONResponse(upload_object(context.uploads(caller.project_id).cancel(upload_id)))
