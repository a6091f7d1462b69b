"""The object store that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from core.errors import InvalidRequest
from core.storage.base import ObjectKey, ObjectStore
from core.storage.local import LocalObjectStore

if TYPE_CHECKING:
    from core.settings import Settings
    from core.storage.s3_links import DownloadLinks


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


def open_links(settings: Settings) -> DownloadLinks | None:
    """What signs links to downloads; None where the settings do not ask for them, or the store is a directory.

    Raises `InvalidRequest` for an address that is none.
    """
    parts = urlsplit(settings.object_store_url)
    if not settings.presigned_downloads or parts.scheme != "s3":
        return None
    endpoint = settings.presigned_endpoint
    if endpoint is not None and (urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc):
        message = f"RFT_PRESIGNED_ENDPOINT: an address such as https://s3.example.com is expected; got {endpoint!r}."
        raise InvalidRequest(message, param="RFT_PRESIGNED_ENDPOINT", code="invalid_configuration")
    from core.storage.s3_links import DownloadLinks

    return DownloadLinks(*_bucket_and_prefix(parts, settings.object_store_url), endpoint=endpoint)


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
