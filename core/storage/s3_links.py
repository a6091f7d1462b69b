"""Links by which a client gets an object from the store itself, without a key of the store and without the API in between."""

from __future__ import annotations

from urllib.parse import quote

from core.storage.base import ObjectKey
from core.storage.s3_calls import connect


class DownloadLinks:
    """Signs links to objects below `prefix` of `bucket`, at `endpoint` where clients know the store by another address.

    Signing asks nobody, so a link to an object that is not there leads to the store's own 404.
    A link made with temporary credentials ends with them, if that is sooner.
    """

    def __init__(self, bucket: str, prefix: str = "", endpoint: str | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = connect(endpoint)

    def link(self, key: ObjectKey, filename: str, seconds: int) -> str:
        """The address of an object for `seconds`. What comes is a download of this name: a browser never shows it as a page."""
        asked = {
            "Bucket": self._bucket,
            "Key": f"{self._prefix}{key}",
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
            "ResponseContentType": "application/octet-stream",
        }
        return str(self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds))
