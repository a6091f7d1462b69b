"""Calls to S3 or what speaks like it: the client, how often a call is repeated, and what its failures are called here.

Where the store is and who we are comes from the variables that every S3 tool reads (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_CA_BUNDLE`), or from a profile, container or instance role.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, IncompleteReadError  # noqa: A004
from botocore.parsers import ResponseParserError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential
from urllib3.exceptions import HTTPError

from core.errors import CorruptObject, StorageFull, Unavailable
from core.settings import variable

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 7
_RETRY_SECONDS = 60.0
"""No attempt begins later than this after the first."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 20.0
"""Without a single byte from the store."""
_CONNECTIONS = 32

_TOO_MANY_REQUESTS = 429
_FULL = 507
_TRANSIENT = frozenset({"SlowDown", "RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "OperationAborted", "Throttling"})
"""Codes of replies below 500 after which the same call may succeed: a body that was damaged on its way is one."""
_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "404"})
_NO_ROOM = frozenset({"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"})
_REPLACED = "PreconditionFailed"
_ON_THE_WAY = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError, HTTPError)
"""What the network does to requests and replies, in botocore's words, and in urllib3's where a body is read."""


def connect(endpoint: str | None = None) -> Any:
    """A thread-safe client, of `endpoint` where given. No connection is made before the first call.

    Names of buckets stand in the path wherever an endpoint is named: few stores of one's own have a host name for each.
    """
    own = endpoint or variable("AWS_ENDPOINT_URL_S3") or variable("AWS_ENDPOINT_URL")
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if own else "auto"},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},  # `call` repeats, reading of the body included
        # Checksums are sent by us; those that the library adds by itself are not understood by every store.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session()
    region = variable("AWS_REGION") or session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=own, region_name=region, config=config)


def call(work: Callable[[], T]) -> T:
    """What `work` returns: one request with its reply read to the end, made again after failures that may pass.

    Raises `KeyError` for an object that is not there, `StorageFull`, `CorruptObject` for one that is not what it was when it was
    opened, and `Unavailable` for everything else.
    """
    attempts = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(_RETRY_SECONDS),
        wait=wait_random_exponential(multiplier=0.2, max=5.0),
        reraise=True,
    )
    try:
        return attempts(work)
    except ClientError as error:
        raise _refusal(error) from error
    except (BotoCoreError, HTTPError) as error:
        log.warning("the object store: %s", error)
        raise Unavailable("The object store cannot be reached.") from error


def error_code(error: ClientError) -> str:
    """S3's name of a failure, the HTTP status where the reply had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ClientError):
        if _is_full(error):
            return False
        return _status(error) >= 500 or _status(error) == _TOO_MANY_REQUESTS or error_code(error) in _TRANSIENT
    return isinstance(error, _ON_THE_WAY)


def _is_full(error: ClientError) -> bool:
    return _status(error) == _FULL or error_code(error) in _NO_ROOM


def _refusal(error: ClientError) -> Exception:
    code = error_code(error)
    if code in _MISSING:
        return KeyError(code)
    if _is_full(error):
        return StorageFull("The object store has no room left.")
    if code == _REPLACED:
        return CorruptObject("An object of the store was replaced while it was read.")
    log.warning("the object store: %s", error)
    return Unavailable(f"The object store does not serve this now ({code or _status(error)}).")
