"""Configuration of `endpoint`."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from core.errors import InvalidRequest
from graders.specs.base import GraderSpec

SECRET_PREFIX = "whsec_"  # noqa: S105  the beginning of every one
_SECRET_BYTES = range(24, 65)
"""What Standard Webhooks asks of a secret."""
MAX_HEADERS = 32


class Endpoint(GraderSpec):
    """A score from a server of the client's own."""

    type: Literal["endpoint"]
    url: str
    headers: dict[str, str] | None = Field(default=None, max_length=MAX_HEADERS)
    """Masked in everything that can be read."""
    rate_limit: float | None = Field(default=None, ge=0.1, le=10_000)
    """Requests a second, of each process."""
    signing_secret: str | None = None
    """Signs every request as Standard Webhooks does. Our extension; masked like the headers."""

    def check(self, param: str) -> None:
        """The secret must be one."""
        if self.signing_secret is not None and not _is_secret(self.signing_secret):
            path = f"{param}.signing_secret"
            raise InvalidRequest(
                f"Invalid '{path}': expected '{SECRET_PREFIX}' and the base64 of 24 to 64 bytes.",
                param=path,
                code="invalid_value",
            )

    def urls(self, param: str) -> Iterator[tuple[str, str]]:
        """Its own."""
        yield self.url, f"{param}.url"


def _is_secret(secret: str) -> bool:
    if not secret.startswith(SECRET_PREFIX):
        return False
    try:
        return len(binascii.a2b_base64(secret.removeprefix(SECRET_PREFIX), strict_mode=True)) in _SECRET_BYTES
    except (ValueError, binascii.Error):
        return False
