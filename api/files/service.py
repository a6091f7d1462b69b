"""The rules of uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from api.files.multipart import MultipartForm
from api.files.schemas import PURPOSES
from core.errors import InvalidRequest
from core.files import File, FileStore, check_filename

FINE_TUNE = "fine-tune"
MIN_EXPIRY_SECONDS = 3600
MAX_EXPIRY_SECONDS = 2_592_000


@dataclass(frozen=True)
class _Wishes:
    purpose: str
    expires_after: int | None


def upload(store: FileStore, content_type: str, chunks: Iterable[bytes]) -> File:
    """Keep the file of a multipart form, streamed to the object store while it comes in.

    The other fields may stand before the file or behind it; what stands before is checked before the first byte is kept.
    Raises `InvalidRequest` (400) for a wrong form, and `TooLarge`. Nothing is left then, nor where `chunks` breaks off.
    """
    form = MultipartForm(content_type, chunks, file_field="file")
    filename = form.open_file()
    if filename is None:
        raise InvalidRequest("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    check_filename(filename)
    if "purpose" in form.fields:
        _wishes(form.fields, filename)
    stored = store.receive(_not_empty(form.file_chunks()))
    try:
        form.close()
        wishes = _wishes(form.fields, filename)
    except BaseException:
        store.discard(stored)
        raise
    return store.add(stored, filename, wishes.purpose, wishes.expires_after)


def _not_empty(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, None)
    if first is None:
        raise InvalidRequest("The file is empty.", param="file", code="empty_file")
    yield first
    yield from chunks


def _wishes(fields: Mapping[str, str], filename: str) -> _Wishes:
    purpose = fields.get("purpose")
    if purpose is None:
        raise InvalidRequest("Missing required parameter: 'purpose'.", param="purpose", code="missing_required_parameter")
    if purpose not in PURPOSES:
        message = f"Invalid value for 'purpose': '{purpose[:64]}' is none of {', '.join(PURPOSES)}."
        raise InvalidRequest(message, param="purpose", code="invalid_value")
    if purpose == FINE_TUNE and not filename.lower().endswith(".jsonl"):
        raise InvalidRequest("Files for fine-tuning must be JSON lines, with a name that ends in .jsonl.", param="file")
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
