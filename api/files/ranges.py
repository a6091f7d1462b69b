"""The part of a file that a download asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

from core.errors import RftError

_SPAN = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class NotWithinFile(RftError):
    """The range begins behind the file's end."""

    status = 416
    code = "range_not_satisfiable"


def asked_span(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None where the whole file is to be sent: for several ranges, and for nonsense.

    Raises `NotWithinFile` where a range holds no byte of the file.
    """
    found = _SPAN.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    start, stop = (int(first), int(last) + 1 if last else size) if first else (size - int(last), size)
    if stop <= start < size:
        return None
    start, stop = max(start, 0), min(stop, size)
    if start >= stop:
        raise NotWithinFile(f"The file has {size} bytes; the range asked for holds none of them.", param="range")
    return start, stop
