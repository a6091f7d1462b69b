"""Large objects in parts: a few on their way at a time, each with its checksum, and no trace of what does not get to its end."""

from __future__ import annotations

import hashlib
import logging
import secrets
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from core.errors import RftError, TooLarge
from core.storage.s3_calls import call

log = logging.getLogger(__name__)

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
"""S3's limit: no object is larger than this many parts."""
_AT_ONCE = 3
"""Parts on their way; with the one being filled they are all that is in memory."""
_UPLOAD = "upload"
"""The metadata by which an object tells which upload it is of."""

Part = dict[str, Any]


class Measured:
    """Chunks on their way through: counted, hashed, and stopped at a limit."""

    def __init__(self, chunks: Iterable[bytes], max_bytes: int | None) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Of what has passed, in hexadecimal."""
        return self._digest.hexdigest()

    def blocks(self, size: int) -> Iterator[bytes]:
        """The same bytes in blocks of `size`, the last one shorter or missing. Raises `TooLarge` past the limit."""
        waiting = bytearray()
        for chunk in self._chunks:
            self.bytes += len(chunk)
            if self._max_bytes is not None and self.bytes > self._max_bytes:
                raise TooLarge(f"The object is larger than the limit of {self._max_bytes} bytes.")
            self._digest.update(chunk)
            waiting += chunk
            while len(waiting) >= size:
                yield bytes(waiting[:size])
                del waiting[:size]
        if waiting:
            yield bytes(waiting)


def put_whole(client: Any, bucket: str, name: str, body: bytes) -> None:
    """Write a small object with one request, which the store refuses where the body was damaged on its way."""
    call(lambda: client.put_object(Bucket=bucket, Key=name, Body=body, ChecksumSHA256=_checksum(body)))


def put_parts(client: Any, bucket: str, name: str, blocks: Iterable[bytes]) -> None:
    """Write a large object. Where it raises, the parts are dropped; what is left of a process killed here is `sweep`'s."""
    token = secrets.token_hex(16)
    begun = call(
        lambda: client.create_multipart_upload(Bucket=bucket, Key=name, ChecksumAlgorithm="SHA256", Metadata={_UPLOAD: token})
    )
    place = {"Bucket": bucket, "Key": name, "UploadId": begun["UploadId"]}
    try:
        with ThreadPoolExecutor(_AT_ONCE, "s3-part") as pool:
            parts = _send(client, place, pool, blocks)
        _complete(client, place, parts, token)
    except BaseException:
        _abort(client, place)
        raise


def _send(client: Any, place: Part, pool: ThreadPoolExecutor, blocks: Iterable[bytes]) -> list[Part]:
    pending: deque[Future[Part]] = deque()
    parts = []
    for number, block in enumerate(blocks, start=1):
        if number > MAX_PARTS:
            raise TooLarge(f"The object is larger than the {MAX_PARTS * PART_BYTES} bytes that the object store takes.")
        if len(pending) == _AT_ONCE:
            parts.append(pending.popleft().result())
        pending.append(pool.submit(_send_part, client, place, number, block))
    return [*parts, *(part.result() for part in pending)]


def _send_part(client: Any, place: Part, number: int, block: bytes) -> Part:
    checksum = _checksum(block)
    reply = call(lambda: client.upload_part(**place, PartNumber=number, Body=block, ChecksumSHA256=checksum))
    known = {"ChecksumSHA256": checksum} if "ChecksumSHA256" in reply else {}  # not every store has them
    return {"PartNumber": number, "ETag": reply["ETag"], **known}


def _complete(client: Any, place: Part, parts: list[Part], token: str) -> None:
    """Make the object of its parts. A reply that was lost on its way leaves no upload to complete: then the object tells."""
    try:
        call(lambda: client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}))
    except KeyError:
        found = call(lambda: client.head_object(Bucket=place["Bucket"], Key=place["Key"]))
        if found.get("Metadata", {}).get(_UPLOAD) != token:
            raise


def _abort(client: Any, place: Part) -> None:
    try:
        call(lambda: client.abort_multipart_upload(**place))
    except (RftError, KeyError) as error:
        log.warning("the parts of %s stay until they are swept: %s", place["Key"], error)


def _checksum(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode()
