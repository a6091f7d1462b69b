"""The grader of type `instructions`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from graders.base import FailureKind, Grade, GradeError, Sample
from graders.instructions.library import Check, InvalidInstruction, bind
from graders.specs.instructions import MAX_INSTRUCTIONS, Instructions
from graders.template import RenderError, Template, Variable, lookup, single_variable
from graders.wordnet import WordNetMissing

MAX_CHARACTERS = 100_000

Named = tuple[str, Check]


class InstructionsGrader:
    """The share of constraints that a text keeps, or whether it keeps all. Every constraint is a part of the grade."""

    type = "instructions"

    def __init__(self, spec: Instructions) -> None:
        self.name = spec.name
        self._input = Template.parse(spec.input)
        self._all = spec.reward == "all"
        self._source: list[Named] | Variable = (
            single_variable(spec.instructions)
            if isinstance(spec.instructions, str)
            else _named([(instruction.id, instruction.kwargs) for instruction in spec.instructions])
        )

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        return [self._grade_one(sample) for sample in samples]

    def close(self) -> None:
        """Nothing is held."""

    def _grade_one(self, sample: Sample) -> Grade | GradeError:
        started = perf_counter()
        try:
            text = self._input.render(sample)
            checks = self._source if isinstance(self._source, list) else _of_row(lookup(self._source, sample))
            if len(text) > MAX_CHARACTERS:
                details = f"a text of {len(text)} characters is too long: the limit is {MAX_CHARACTERS}"
                return GradeError(FailureKind.OTHER, details, perf_counter() - started)
            # An empty completion follows no instruction, not even one that forbids something.
            kept = {name: bool(text.strip()) and check(text) for name, check in checks}
        except RenderError as error:
            return GradeError(error.kind, str(error), perf_counter() - started)
        except InvalidInstruction as error:
            return GradeError(FailureKind.INVALID_VARIABLE, str(error), perf_counter() - started)
        except WordNetMissing as error:
            return GradeError(FailureKind.OTHER, error.message, perf_counter() - started)
        score = float(all(kept.values())) if self._all else sum(kept.values()) / len(kept)
        return Grade(score, perf_counter() - started, {name: Grade(float(value)) for name, value in kept.items()})


def _of_row(value: Any) -> list[Named]:
    """The constraints that a row lists. Raises `InvalidInstruction`."""
    if isinstance(value, str):
        value = _json(value)
    if isinstance(value, dict):
        value = _zipped(value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_INSTRUCTIONS:
        raise InvalidInstruction("", f"the row must list 1 to {MAX_INSTRUCTIONS} instructions")
    return _named([_pair(entry) for entry in value])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInstruction("", "the row's list of instructions is neither a list nor JSON") from None


def _zipped(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The data sets' shape: two lists side by side."""
    ids, kwargs = row.get("instruction_id_list"), row.get("kwargs")
    if not isinstance(ids, list) or not isinstance(kwargs, list) or len(ids) != len(kwargs):
        raise InvalidInstruction("", "the row needs 'instruction_id_list' and 'kwargs', two lists of the same length")
    return [{"id": identifier, "kwargs": arguments} for identifier, arguments in zip(ids, kwargs, strict=True)]


def _pair(entry: Any) -> tuple[str, dict[str, Any] | None]:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise InvalidInstruction("", "every instruction of the row needs an 'id'")
    kwargs = entry.get("kwargs")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise InvalidInstruction("", "the 'kwargs' of an instruction must be an object")
    return entry["id"], kwargs


def _named(instructions: Sequence[tuple[str, dict[str, Any] | None]]) -> list[Named]:
    """Checks under the names of their constraints; one that comes again is counted."""
    seen: dict[str, int] = {}
    named = []
    for identifier, kwargs in instructions:
        seen[identifier] = seen.get(identifier, 0) + 1
        name = identifier if seen[identifier] == 1 else f"{identifier} ({seen[identifier]})"
        named.append((name, bind(identifier, kwargs)))
    return named
