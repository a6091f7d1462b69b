"""Objects in a bucket of S3 or what speaks like it.

A small object is written by one request, a large one in parts that become an object by the last request: it is there as a whole
or not at all. Every request carries the sha256 of its body, so that the store refuses what was damaged on its way.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from core.storage.base import ObjectKey, Stored
from core.storage.s3_calls import call, connect, error_code
from core.storage.s3_reader import WINDOW_BYTES, Opened, RangeReader
from core.storage.s3_upload import PART_BYTES, Measured, put_parts, put_whole

_EMPTY = "InvalidRange"
"""What is said to a range of an object that has no byte."""
_BUFFER_BYTES = 64 * 1024


class S3ObjectStore:
    """An `ObjectStore` below `prefix` of `bucket`. Safe for threads and for many processes; every call may raise `Unavailable`.

    A reader fetches as it goes: of an object that was deleted meanwhile it raises `KeyError`, of one that was replaced
    `CorruptObject`. Keys of a bucket with versions keep their old bytes until the bucket's own rules end them.
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = connect()

    def put(self, key: ObjectKey, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stored:
        """Write an object, replacing any before it. Raises `TooLarge` past `max_bytes`, `StorageFull` where there is no room."""
        measured = Measured(chunks, max_bytes)
        blocks = measured.blocks(PART_BYTES)
        first = next(blocks, b"")
        if len(first) < PART_BYTES:
            put_whole(self._client, self._bucket, self._name(key), first)
        else:
            put_parts(self._client, self._bucket, self._name(key), chain([first], blocks))
        return Stored(key, measured.bytes, measured.sha256)

    def open(self, key: ObjectKey) -> BinaryIO:
        """A reader over the whole object, to be closed by the caller; raises `KeyError` where there is none."""
        reader = RangeReader(self._opened(key))
        return cast(BinaryIO, io.BufferedReader(reader, _BUFFER_BYTES))

    def stream(self, key: ObjectKey, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The object's bytes in chunks; raises `KeyError` before the first where there is none."""
        with self.open(key) as source:
            while chunk := source.read(chunk_bytes):
                yield chunk

    def delete(self, key: ObjectKey) -> None:
        """Remove the object; nothing happens where there is none."""
        with suppress(KeyError):
            call(lambda: self._client.delete_object(Bucket=self._bucket, Key=self._name(key)))

    def list(self, prefix: ObjectKey) -> Iterator[ObjectKey]:
        """Keys below `prefix`, in no order."""
        more: dict[str, str] | None = {}
        while more is not None:
            page = self._page(f"{self._name(prefix)}/", more)
            for entry in page.get("Contents", ()):
                with suppress(ValueError):  # a name that is not ours
                    yield ObjectKey.parse(entry["Key"].removeprefix(self._prefix))
            token = page.get("NextContinuationToken")
            more = {"ContinuationToken": token} if token else None

    def written_at(self, key: ObjectKey) -> float:
        """When the object was written, in unix seconds by the store's clock; raises `KeyError` where there is none."""
        found = self._head(key)
        return float(found["LastModified"].timestamp())

    def sweep(self, *, min_age: float, dry_run: bool = False) -> int:
        """Drop the parts of uploads that began `min_age` seconds ago and have not ended; returns how many."""
        newest = time.time() - min_age
        dropped = 0
        for upload in list(self._uploads()):
            if upload["Initiated"].timestamp() <= newest:
                place = {"Bucket": self._bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                with suppress(KeyError):  # it has ended, or another sweeper was here
                    if not dry_run:
                        call(lambda place=place: self._client.abort_multipart_upload(**place))  # type: ignore[misc]
                    dropped += 1
        return dropped

    def _name(self, key: ObjectKey) -> str:
        return f"{self._prefix}{key}"

    def _head(self, key: ObjectKey) -> Any:
        return call(lambda: self._client.head_object(Bucket=self._bucket, Key=self._name(key)))

    def _page(self, prefix: str, more: dict[str, str]) -> Any:
        return call(lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more))

    def _uploads(self) -> Iterator[Any]:
        """Uploads that have begun and not ended."""
        more: dict[str, str] | None = {}
        while more is not None:
            page = self._uploads_page(more)
            yield from page.get("Uploads", ())
            markers = {"KeyMarker": page.get("NextKeyMarker", ""), "UploadIdMarker": page.get("NextUploadIdMarker", "")}
            more = markers if page.get("IsTruncated") else None

    def _uploads_page(self, more: dict[str, str]) -> Any:
        return call(lambda: self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix, **more))

    def _opened(self, key: ObjectKey) -> Opened:
        """The object's first window, and how to fetch others of the same object."""
        name = self._name(key)
        try:
            reply, first = call(lambda: self._range(name, 0, WINDOW_BYTES))
        except _NothingInRange:
            self._head(key)
            return Opened(0, b"", lambda _start, _stop: b"")
        size = int(str(reply.get("ContentRange", f"/{len(first)}")).rpartition("/")[2])

        def fetch(start: int, stop: int) -> bytes:
            return call(lambda: self._range(name, start, stop, IfMatch=reply["ETag"]))[1]

        return Opened(size, first, fetch)

    def _range(self, name: str, start: int, stop: int, **conditions: str) -> tuple[Any, bytes]:
        """One request for the bytes from `start` to before `stop`: the reply, and what it holds of them."""
        try:
            reply = self._client.get_object(Bucket=self._bucket, Key=name, Range=f"bytes={start}-{stop - 1}", **conditions)
        except ClientError as error:
            if error_code(error) == _EMPTY:
                raise _NothingInRange from None
            raise
        with reply["Body"] as body:
            return reply, body.read()


class _NothingInRange(Exception):
    """The object has no byte in the range asked for."""
