"""Secrets of keys: a prefix, 37 random characters, 6 of a checksum. Only a secret's sha256 is kept, and keys are found by it.

A fast hash is enough, since nobody can guess 37 random characters; the prefix lets secret scanners find leaked keys; the
checksum turns typing errors away before the database is asked.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib

from core.ids import random_text

PREFIX = "rft_sk_"
ADMIN_PREFIX = "rft_admin_"
_RANDOM = 37
_CHECKSUM = 6
_BASE62 = string.digits + string.ascii_letters
_OURS = re.compile(rf"(?:{PREFIX}|{ADMIN_PREFIX})[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
_SENDABLE = re.compile(r"[!-~]{1,512}")
"""What fits behind `Authorization: Bearer`."""


def new_secret(prefix: str = PREFIX) -> str:
    """A fresh secret with its checksum."""
    body = prefix + random_text(_RANDOM)
    return body + _checksum(body)


def plausible(secret: str) -> bool:
    """False for what fits no header, and for our own form with a wrong checksum. An operator's own secrets have other forms."""
    if not _SENDABLE.fullmatch(secret):
        return False
    return not _OURS.fullmatch(secret) or secret[-_CHECKSUM:] == _checksum(secret[:-_CHECKSUM])


def digest(secret: str) -> str:
    """What of a secret is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def mask(secret: str) -> str:
    """The secret's first five and last two characters, or none where that would show a good part of it or is no text."""
    if len(secret) < 16 or not _SENDABLE.fullmatch(secret):
        return "***"
    return f"{secret[:5]}***{secret[-2:]}"


def _checksum(text: str) -> str:
    value = zlib.crc32(text.encode())
    digits = ""
    for _ in range(_CHECKSUM):
        value, digit = divmod(value, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits
