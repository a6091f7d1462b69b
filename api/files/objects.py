"""What replies about files hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Reply


class FileObject(Reply):
    """A file, as `file_object` builds it."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"]
    status_details: None
