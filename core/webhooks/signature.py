"""Signatures of Standard Webhooks, version 1: HMAC-SHA256 over `{id}.{timestamp}.{body}`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A fresh secret: the prefix and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(random.token_bytes(_SECRET_BYTES)).decode()


def hint(secret: str) -> str:
    """The secret's last four characters before the padding, behind its prefix."""
    return f"{PREFIX}***{secret.rstrip('=')[-4:]}"


def signed_headers(secrets: Sequence[str], webhook_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers that let the receiver check the body; one signature for each secret, so that either may be known."""
    content = f"{webhook_id}.{timestamp}.{body}".encode()
    signatures = [f"v1,{_signature(secret, content)}" for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
