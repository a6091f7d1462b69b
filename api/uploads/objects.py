"""What replies about uploads hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.files.objects import FileObject
from api.objects import Reply


class UploadObject(Reply):
    """An upload, as `upload_object` builds it."""

    id: str
    object: Literal["upload"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileObject | None


class PartObject(Reply):
    """A part, as `part_object` builds it."""

    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str
