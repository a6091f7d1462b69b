"""The object store that the settings name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from core.errors import InvalidRequest
from core.storage.base import ObjectKey, ObjectStore
from core.storage.local import LocalObjectStore


def open_store(url: str) -> ObjectStore:
    """The store at `file:///absolute/directory` or `s3://bucket/prefix`. Raises `InvalidRequest` for any other URL.

    A directory is swept of what killed writers left; a bucket is not asked for before the first call.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from core.storage.s3 import S3ObjectStore  # its client takes a third of a second to import

        return S3ObjectStore(*_bucket_and_prefix(parts, url))
    path = Path(unquote(parts.path))
    local = parts.scheme == "file" and parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if not local or not path.is_absolute():
        raise _not_a_store(url)
    store = LocalObjectStore(path)
    store.sweep(min_age=0)
    return store


def _bucket_and_prefix(parts: SplitResult, url: str) -> tuple[str, str]:
    prefix = parts.path.strip("/")
    try:
        ObjectKey.parse(prefix or "none")
    except ValueError:
        raise _not_a_store(url) from None
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc or parts.query or parts.fragment:
        raise _not_a_store(url)
    return parts.netloc, prefix


def _not_a_store(url: str) -> InvalidRequest:
    message = (
        "RFT_OBJECT_STORE_URL: a directory such as file:///var/lib/touchstone/objects or a bucket such as s3://bucket/prefix "
        f"is expected (keys and endpoint come from the variables AWS_*); got {url!r}."
    )
    return InvalidRequest(message, param="RFT_OBJECT_STORE_URL", code="invalid_configuration")
