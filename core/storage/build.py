"""The object store that the settings name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import InvalidRequest
from core.storage.base import ObjectStore
from core.storage.local import LocalObjectStore


def open_store(url: str) -> ObjectStore:
    """The store at `file:///absolute/directory`, swept of what killed writers left. Raises `InvalidRequest` for any other URL."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    local = parts.scheme == "file" and parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if not local or not path.is_absolute():
        message = (
            f"RFT_OBJECT_STORE_URL: only file:// URLs are supported, such as file:///var/lib/touchstone/objects; got {url!r}."
        )
        raise InvalidRequest(message, param="RFT_OBJECT_STORE_URL", code="invalid_configuration")
    store = LocalObjectStore(path)
    store.sweep()
    return store
