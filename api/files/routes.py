"""`/v1/files`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.auth import CallerDep, ContextDep
from api.files import service
from api.files.intake import take_in
from api.files.objects import FileCheck, FileObject, FileRow
from api.files.presigned import at_the_store
from api.files.ranges import asked_span
from api.files.schemas import check_object, file_object, row_object
from api.objects import Deleted, ErrorReply, ListOf, ListWithEnds, download
from api.paging import list_object
from core.datasets.check import MAX_TRAINING_ROWS, MAX_VALIDATION_ROWS, check_rows
from core.datasets.preview import preview

router = APIRouter(prefix="/v1/files", tags=["files"])

_UPLOAD_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string"},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                    },
                }
            }
        },
    }
}

_CONTENT = download("application/octet-stream", 200, 206) | {
    307: {"description": "The bytes are at the object store, at an address that holds for some minutes"},
    416: {"model": ErrorReply, "description": "No such range"},
}


@router.post("", response_model=FileObject, openapi_extra=_UPLOAD_FORM)
async def create_file(
    request: Request, caller: CallerDep, context: ContextDep, x_stainless_retry_count: Annotated[str, Header()] = "0"
) -> JSONResponse:
    """Upload a file."""
    content_type = request.headers.get("content-type", "")
    is_retry = x_stainless_retry_count not in ("", "0")
    work = partial(service.upload, context.files(caller.project_id), content_type, is_retry)
    return JSONResponse(file_object(await take_in(request.stream(), work, limiter=context.intake)))


@router.get("", response_model=ListWithEnds[FileObject])
def list_files(
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> JSONResponse:
    """The project's files, newest first unless asked otherwise."""
    page = context.files(caller.project_id).list(after=after, limit=limit, order=order, purpose=purpose)
    return JSONResponse(list_object([file_object(file) for file in page.data], has_more=page.has_more, with_ends=True))


@router.get("/{file_id}", response_model=FileObject)
def retrieve_file(file_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """A file's description."""
    return JSONResponse(file_object(context.files(caller.project_id).get(file_id)))


@router.delete("/{file_id}", response_model=Deleted)
def delete_file(file_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Remove a file."""
    context.files(caller.project_id).delete(file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


@router.get("/{file_id}/check", response_model=FileCheck)
def check_file(file_id: str, caller: CallerDep, context: ContextDep, split: Literal["train", "valid"] = "train") -> JSONResponse:
    """What a job would say of the file: its rows, and the first bad lines."""
    with context.files(caller.project_id).open(file_id) as stream:
        report = check_rows(stream, MAX_TRAINING_ROWS if split == "train" else MAX_VALIDATION_ROWS)
    return JSONResponse(check_object(file_id, report))


@router.get("/{file_id}/rows", response_model=ListOf[FileRow])
def list_rows(
    file_id: str,
    caller: CallerDep,
    context: ContextDep,
    start: Annotated[int, Query(ge=0, le=MAX_TRAINING_ROWS)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Rows of a file of JSON lines, from the place `start` (counted from 0) on; a line that is no row says why."""
    with context.files(caller.project_id).open(file_id) as stream:
        rows = [row_object(place, found) for place, found in preview(stream, start, limit + 1)]
    return JSONResponse(list_object(rows[:limit], has_more=len(rows) > limit))


@router.head("/{file_id}/content", include_in_schema=False)
@router.get("/{file_id}/content", response_class=Response, responses=_CONTENT)
def file_content(
    request: Request,
    file_id: str,
    caller: CallerDep,
    context: ContextDep,
    wanted: Annotated[str | None, Header(alias="range")] = None,
    if_range: Annotated[str | None, Header()] = None,
) -> Response:
    """A file's bytes, always as a download: no browser may take a client's upload for a page. One range may be asked for."""
    files = context.files(caller.project_id)
    file = files.get(file_id)
    if (redirect := at_the_store(request, context, file)) is not None:
        return redirect
    etag = f'"{file.sha256}"'
    span = asked_span(wanted, file.bytes) if wanted is not None and if_range in (None, etag) else None
    start, stop = span or (0, file.bytes)
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(stop - start),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "content-type": "application/octet-stream",
        "etag": etag,
        "x-content-type-options": "nosniff",
    }
    if span is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{file.bytes}"
    status = 200 if span is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(files.chunks(file_id, start, stop), status_code=status, headers=headers)
