"""The rules of files that come in parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.files.multipart import MultipartForm, not_empty
from api.files.service import check_purpose
from api.uploads.schemas import CompleteUpload, CreateUpload
from api.validation import validated
from core.errors import InvalidRequest
from core.upload_types import NewUpload, Upload, UploadPart
from core.uploads import UploadStore

Json = dict[str, Any]


def create(store: UploadStore, body: Json) -> Upload:
    """Begin an upload. Raises `InvalidRequest` (400) with the field at fault, `TooLarge`."""
    asked = validated(CreateUpload, body)
    check_purpose(asked.purpose, asked.filename, param="filename")
    if not asked.mime_type.isprintable():
        raise InvalidRequest(
            "Invalid value for 'mime_type': it holds control characters.", param="mime_type", code="invalid_value"
        )
    seconds = None if asked.expires_after is None else asked.expires_after.seconds
    return store.create(NewUpload(asked.filename, asked.purpose, asked.bytes, asked.mime_type, seconds))


def add_part(store: UploadStore, upload_id: str, content_type: str, chunks: Iterable[bytes]) -> UploadPart:
    """Keep the field `data` of a multipart form as a part, streamed to the object store while it comes in.

    Raises `InvalidRequest` (400) for a wrong form, and what the store raises. Nothing is left then, nor where `chunks` breaks
    off.
    """
    form = MultipartForm(content_type, chunks, file_field="data")
    if form.open_file() is None:
        raise InvalidRequest("Missing required parameter: 'data'.", param="data", code="missing_required_parameter")
    stored = store.receive(upload_id, not_empty(form.file_chunks(), "data"))
    try:
        form.close()
    except BaseException:
        store.discard(stored)
        raise
    return store.add_part(upload_id, stored)


def complete(store: UploadStore, upload_id: str, body: Json) -> Upload:
    """Join the parts to a file. Raises `InvalidRequest` (400) with the field at fault."""
    asked = validated(CompleteUpload, body)
    return store.complete(upload_id, asked.part_ids, asked.md5)
