"""Errors that reach a client, rendered in OpenAI's envelope.

To add one: subclass `RftError` here or beside its only user, give it `code` and `status`, and write the message for the person
who will read it. Wrong-state calls are 400 and never 409: OpenAI's client retries 409.
"""

from __future__ import annotations

from typing import ClassVar


class RftError(Exception):
    """Root of all expected failures: a message, the parameter at fault, a machine-readable code and an HTTP status."""

    status: ClassVar[int] = 500
    code: str | None = None
    type: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class InvalidRequest(RftError):
    """The request's shape or values are wrong."""

    status = 400


class Unauthorized(RftError):
    """No key, or none that we know."""

    status = 401
    code = "invalid_api_key"


class Forbidden(RftError):
    """The key is good, but not for this."""

    status = 403
    code = "insufficient_permissions"


class NotFound(RftError):
    """No such object in this project. Foreign ids look the same as unknown ones."""

    status = 404


class WrongState(RftError):
    """The object exists, but not in a state that allows the call."""

    status = 400
    code = "invalid_state"


class TooLarge(RftError):
    """A body or a file is over its limit."""

    status = 413
    code = "too_large"


class RateLimited(RftError):
    """Too many requests in too short a time: the client may try again after `retry_seconds`."""

    status = 429
    code = "rate_limit_exceeded"
    type = "requests"

    def __init__(self, message: str, *, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class QuotaExceeded(RftError):
    """The project uses all that it may: trying again changes nothing until something of it is given up."""

    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"


class Unavailable(RftError):
    """A part of the service cannot answer now; the client may try again."""

    status = 503
    code = "server_is_overloaded"
    type = "server_error"


class StorageFull(RftError):
    """The object store has no room left: nothing of the write is kept."""

    status = 507
    code = "storage_full"
    type = "server_error"


class CorruptObject(RftError):
    """A stored object is missing, or not the bytes that were written."""

    code = "corrupt_object"
    type = "server_error"


class LeaseLost(RftError):
    """This runner's lease has passed to another, or the job has ended: it must stop and change nothing."""

    code = "lease_lost"
    type = "server_error"


class JobFailure(RftError):
    """Ends a job as `failed`; message, param and code become the job's `error` object."""

    code = "job_failed"
    type = "server_error"
