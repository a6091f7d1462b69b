"""Plain Python values as JSON that keeps their types apart. Part of the programs that run in sandboxes: standard library only.

Only values of exactly these types cross: what comes back from a program under test is data, never an object with behaviour of its
own that a comparison could run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 100


class NotPlain(Exception):
    """The value is no plain data."""


def encode(value: Any, depth: int = 0) -> Any:
    """JSON for a plain value. Raises `NotPlain`."""
    kind: Any = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if depth > MAX_DEPTH:
        raise NotPlain(f"nested deeper than {MAX_DEPTH} levels")
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [encode(entry, depth + 1) for entry in value]}
    if kind is dict:
        return {"dict": [[encode(key, depth + 1), encode(entry, depth + 1)] for key, entry in value.items()]}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), depth + 1)
    raise NotPlain(f"a {kind.__name__}")


def decode(data: Any, depth: int = 0) -> Any:
    """The value of `encode`'s JSON. Raises `NotPlain` for anything else."""
    if not isinstance(data, dict):
        if isinstance(data, list):
            raise NotPlain("a bare list")
        return data
    if len(data) != 1 or depth > MAX_DEPTH:
        raise NotPlain("an unknown form")
    ((name, content),) = data.items()
    try:
        return _DECODERS[name](content, depth + 1)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise NotPlain(f"an unknown form: {error}") from None


def _entries(content: Any, depth: int) -> list[Any]:
    if not isinstance(content, list):
        raise NotPlain("an unknown form")
    return [decode(entry, depth) for entry in content]


_SEQUENCES: dict[Any, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
_DECODERS: dict[str, Callable[[Any, int], Any]] = {
    "list": _entries,
    "tuple": lambda content, depth: tuple(_entries(content, depth)),
    "set": lambda content, depth: set(_entries(content, depth)),
    "frozenset": lambda content, depth: frozenset(_entries(content, depth)),
    "dict": lambda content, depth: {decode(key, depth): decode(entry, depth) for key, entry in content},
    "bytes": lambda content, _: bytes.fromhex(content),
    "complex": lambda content, _: complex(float(content[0]), float(content[1])),
    "float": lambda content, _: float(content),
}
