"""Ids in OpenAI's style: a prefix that names the kind, then random characters."""

from __future__ import annotations

import secrets
import string

_ALPHABET = (string.ascii_letters + string.digits).encode()
_FAIR = len(_ALPHABET) * (256 // len(_ALPHABET))
_LETTER_OF = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))
"""Bytes left over when all are dealt out to the alphabet evenly: they are dropped, lest some letters come more often."""

LENGTHS = {
    "file-": 22,
    "upload_": 24,
    "part_": 24,
    "ftjob-": 24,
    "ftevent-": 24,
    "ftckpt_": 24,
    "eval_": 24,
    "cp_": 24,
    "key_": 16,
    "proj_": 16,
    "svc_acct_": 16,
    "req_": 24,
    "chatcmpl-": 24,
    "call_": 24,
    "resp_": 48,
    "msg_": 48,
    "fc_": 48,
    "whe_": 24,
    "wh_": 24,
    "evt_": 24,
    "trace_": 24,
}


def new_id(prefix: str) -> str:
    """A fresh id, e.g. `new_id("ftjob-")` gives `ftjob-` and 24 letters or digits."""
    return prefix + random_text(LENGTHS[prefix])


def random_text(length: int) -> str:
    """`length` letters and digits from the system's secure generator."""
    text = b""
    while len(text) < length:
        text += secrets.token_bytes(2 * length).translate(_LETTER_OF, _UNFAIR)
    return text[:length].decode()
