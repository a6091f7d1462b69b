"""The rules of files that come in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.files.multipart import MultipartForm, not_empty
from api.files.schemas import MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS, PURPOSES
from core.errors import InvalidRequest
from core.files import File, FileStore, check_filename

FINE_TUNE = "fine-tune"


@dataclass(frozen=True)
class _Wishes:
    purpose: str
    expires_after: int | None


def upload(store: FileStore, content_type: str, is_retry: bool, chunks: Iterable[bytes]) -> File:
    """Keep the file of a multipart form, streamed to the object store while it comes in.

    The other fields may stand before the file or behind it; what stands before is checked before the first byte is kept.
    Where the call `is_retry`, the file that it made before is returned. Raises `InvalidRequest` (400) for a wrong form, and
    `TooLarge`. Nothing is left then, nor where `chunks` breaks off.
    """
    form = MultipartForm(content_type, chunks, file_field="file")
    filename = form.open_file()
    if filename is None:
        raise InvalidRequest("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    check_filename(filename)
    if "purpose" in form.fields:
        _wishes(form.fields, filename)
    stored = store.receive(not_empty(form.file_chunks(), "file"))
    try:
        form.close()
        wishes = _wishes(form.fields, filename)
    except BaseException:
        store.discard(stored)
        raise
    return store.add(stored, filename, wishes.purpose, wishes.expires_after, is_retry=is_retry)


def check_purpose(purpose: str, filename: str, *, param: str) -> None:
    """Raises `InvalidRequest` for an unknown purpose, and for a name that does not go with it, as the parameter `param`."""
    if purpose not in PURPOSES:
        message = f"Invalid value for 'purpose': '{purpose[:64]}' is none of {', '.join(PURPOSES)}."
        raise InvalidRequest(message, param="purpose", code="invalid_value")
    if purpose == FINE_TUNE and not filename.lower().endswith(".jsonl"):
        raise InvalidRequest("Files for fine-tuning must be JSON lines, with a name that ends in .jsonl.", param=param)


def _wishes(fields: Mapping[str, str], filename: str) -> _Wishes:
    purpose = fields.get("purpose")
    if purpose is None:
        raise InvalidRequest("Missing required parameter: 'purpose'.", param="purpose", code="missing_required_parameter")
    check_purpose(purpose, filename, param="file")
    return _Wishes(purpose, _expiry(fields))


def _expiry(fields: Mapping[str, str]) -> int | None:
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        message = "Invalid value for 'expires_after.anchor': expected 'created_at'."
        raise InvalidRequest(message, param="expires_after.anchor", code="invalid_value")
    number = int(seconds) if seconds is not None and seconds.isdecimal() and len(seconds) < 10 else 0
    if not MIN_EXPIRY_SECONDS <= number <= MAX_EXPIRY_SECONDS:
        message = f"Invalid value for 'expires_after.seconds': expected {MIN_EXPIRY_SECONDS} to {MAX_EXPIRY_SECONDS}."
        raise InvalidRequest(message, param="expires_after.seconds", code="invalid_value")
    return number
