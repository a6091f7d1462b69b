"""Wire shapes of uploads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.files.schemas import MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS, file_object
from core.upload_types import Upload, UploadPart
from core.uploads import MAX_PARTS

Json = dict[str, Any]


class ExpiresAfter(BaseModel):
    """How long the file made of an upload lives."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=MIN_EXPIRY_SECONDS, le=MAX_EXPIRY_SECONDS)]


class CreateUpload(BaseModel):
    """The body that announces a file."""

    bytes: Annotated[int, Field(ge=1)]
    filename: str
    mime_type: Annotated[str, Field(min_length=1, max_length=255)]
    purpose: str
    expires_after: ExpiresAfter | None = None


class CompleteUpload(BaseModel):
    """The body that joins the parts, in this order."""

    part_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_PARTS)]
    md5: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")] | None = None


def upload_object(upload: Upload) -> Json:
    """An upload as clients see it, with its file once it is complete."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": int(upload.created_at),
        "expires_at": int(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": str(upload.status),
        "file": None if upload.file is None else file_object(upload.file),
    }


def part_object(part: UploadPart) -> Json:
    """A part as clients see it."""
    return {"id": part.id, "object": "upload.part", "created_at": int(part.created_at), "upload_id": part.upload_id}
