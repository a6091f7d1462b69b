"""JSON Lines of hostile origin, line by line: what each line holds, or what is wrong with it.

Memory stays bounded by one line. What Python's parser would take and later parts could not bear is refused here: deep nesting
(checked before parsing, which recurses), NaN and infinities, integers too large for a float, repeated keys, unpaired surrogates.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

Json = dict[str, Any]

MAX_LINE_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 300
"""Integers of more digits do not convert to a float."""
MAX_TRAILING_BLANK_LINES = 1000
MAX_QUOTED = 80
"""Characters of the file's own text in a problem's message."""

_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Row:
    """A line that holds a JSON object."""

    line: int
    value: Json


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line (counted from 1), or with the file where `line` is None."""

    line: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.line is None else f"Line {self.line}: {self.message}"


def read_lines(stream: BinaryIO) -> Iterator[Row | Problem]:
    """One row or problem for each line, in order. Blank lines are ignored at the end and a problem elsewhere.

    A byte order mark at the start is ignored. Never raises for what the stream holds.
    """
    blank: int | None = None
    for number, line in _lines(stream):
        if line is not None and not line.strip():
            blank = blank or number
            if number - blank >= MAX_TRAILING_BLANK_LINES:
                yield Problem(blank, f"more than {MAX_TRAILING_BLANK_LINES} blank lines")
                return
            continue
        if blank is not None:
            yield Problem(blank, "the line is blank")
            blank = None
        yield _parse(number, line)


def quoted(text: str) -> str:
    """The file's own text in a message: escaped, and cut at `MAX_QUOTED` characters."""
    shown = ascii(text[:MAX_QUOTED])
    return f"{shown[:MAX_QUOTED]}..." if len(shown) > MAX_QUOTED or len(text) > MAX_QUOTED else shown


class _Refused(ValueError):
    """Valid for Python's parser, and not for us."""


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None stands for one over the limit, which is skipped without being held."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, None
        else:
            yield number, line.rstrip(b"\r\n")


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _parse(number: int, line: bytes | None) -> Row | Problem:
    if line is None:
        return Problem(number, f"the line is longer than {MAX_LINE_BYTES} bytes")
    if b"\0" in line:
        return Problem(number, "the line holds a NUL byte")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(number, f"the line is not valid UTF-8 (byte {error.start + 1})")
    if _too_deep(line):
        return Problem(number, f"the line is nested more than {MAX_DEPTH} levels deep")
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float, object_pairs_hook=_object
        )
    except _Refused as error:
        return Problem(number, str(error))
    except json.JSONDecodeError as error:
        return Problem(number, f"the line is not valid JSON: {error.msg} (column {error.colno})")
    except RecursionError:
        return Problem(number, "the line is nested too deep")
    if not isinstance(value, dict):
        return Problem(number, "the line must hold a JSON object")
    if _SURROGATE.search(text) and not _encodable(value):
        return Problem(number, "the line holds an unpaired surrogate, which is not text")
    return Row(number, value)


def _too_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", line)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not valid JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise _Refused(f"an integer has more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused(f"the number {quoted(digits)} is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the key {quoted(repeated)} stands twice in one object")
    return value


def _encodable(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
