"""What a program answered against what it should have: in the service's own process, where no code under test runs."""

from __future__ import annotations

import math
from typing import Any

_RELATIVE = 1e-6
_ABSOLUTE = 1e-9


def same_output(output: str, expected: str) -> bool:
    """Equal line by line; blanks at the ends of lines and blank lines at the end do not count."""
    return _lines(output) == _lines(expected)


def same_value(value: Any, expected: Any) -> bool:
    """`value` is Python's, `expected` JSON's: tuples and lists are alike, sets are lists in any order, keys of objects are text.

    Floating-point numbers may differ by a millionth; truth values equal truth values only.
    """
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, float) or isinstance(expected, float):
        return _close(value, expected)
    if isinstance(value, set | frozenset):
        return isinstance(expected, list) and len(value) == len(expected) and _matched(list(value), expected)
    if isinstance(value, list | tuple):
        return (
            isinstance(expected, list)
            and len(value) == len(expected)
            and all(same_value(mine, theirs) for mine, theirs in zip(value, expected, strict=True))
        )
    if isinstance(value, dict):
        return isinstance(expected, dict) and _same_object(value, expected)
    return type(value) is type(expected) and bool(value == expected)


def _same_object(value: dict[Any, Any], expected: dict[str, Any]) -> bool:
    mine = {key if isinstance(key, str) else repr(key): entry for key, entry in value.items()}
    return (
        len(mine) == len(value) and mine.keys() == expected.keys() and all(same_value(mine[key], expected[key]) for key in mine)
    )


def _close(value: Any, expected: Any) -> bool:
    if not isinstance(value, int | float) or not isinstance(expected, int | float):
        return False
    try:
        return math.isclose(value, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    except OverflowError:
        return False


def _matched(values: list[Any], expected: list[Any]) -> bool:
    """Every value takes one of the expected; quadratic, in lists that are short."""
    remaining = list(expected)
    for value in values:
        index = next((i for i, candidate in enumerate(remaining) if same_value(value, candidate)), None)
        if index is None:
            return False
        del remaining[index]
    return True


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
