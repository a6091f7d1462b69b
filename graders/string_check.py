"""`string_check`: 1.0 where the comparison holds, else 0.0."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from graders.base import Grade, GradeError, Sample
from graders.spec import StringCheck
from graders.template import RenderError, Template

_OPERATIONS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


class StringCheckGrader:
    """Compares `input` with `reference`, both rendered for each sample."""

    type = "string_check"

    def __init__(self, spec: StringCheck) -> None:
        self.name = spec.name
        self._input = Template.parse(spec.input)
        self._reference = Template.parse(spec.reference)
        self._holds = _OPERATIONS[spec.operation]

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        return [self._grade_one(sample) for sample in samples]

    def close(self) -> None:
        """Nothing is held."""

    def _grade_one(self, sample: Sample) -> Grade | GradeError:
        started = time.perf_counter()
        try:
            holds = self._holds(self._input.render(sample), self._reference.render(sample))
        except RenderError as error:
            return GradeError(error.kind, str(error), time.perf_counter() - started)
        return Grade(float(holds), time.perf_counter() - started)
