"""`string_check`: 1.0 where the comparison holds, else 0.0."""

from __future__ import annotations

from collections.abc import Callable

from graders.pair import PairGrader
from graders.specs.string_check import StringCheck

_OPERATIONS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


def string_check(spec: StringCheck) -> PairGrader:
    """Compares `input` with `reference`."""
    return PairGrader(spec, _OPERATIONS[spec.operation])
