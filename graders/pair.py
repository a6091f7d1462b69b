"""What `string_check` and `text_similarity` share: two templates, rendered for each sample and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from graders.base import FailureKind, Grade, GradeError, Sample
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity
from graders.template import RenderError, Template


class Ungradable(Exception):
    """The two texts cannot be compared; the message says why."""


class PairGrader:
    """Scores `compare(input, reference)`, which may raise `Ungradable`."""

    def __init__(self, spec: StringCheck | TextSimilarity, compare: Callable[[str, str], float]) -> None:
        self.name = spec.name
        self.type: str = spec.type
        self._input = Template.parse(spec.input)
        self._reference = Template.parse(spec.reference)
        self._compare = compare

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        return [self._grade_one(sample) for sample in samples]

    def close(self) -> None:
        """Nothing is held."""

    def _grade_one(self, sample: Sample) -> Grade | GradeError:
        started = perf_counter()
        try:
            score = float(self._compare(self._input.render(sample), self._reference.render(sample)))
        except RenderError as error:
            return GradeError(error.kind, str(error), perf_counter() - started)
        except Ungradable as error:
            return GradeError(FailureKind.OTHER, str(error), perf_counter() - started)
        return Grade(score, perf_counter() - started)
