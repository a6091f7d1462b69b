"""What `string_check` and `text_similarity` share: two templates, rendered for each sample and compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from graders.base import Grade, GradeError, Sample
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity
from graders.template import RenderError, Template


class PairGrader:
    """Scores `compare(input, reference)`."""

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
        started = time.perf_counter()
        try:
            score = self._compare(self._input.render(sample), self._reference.render(sample))
        except RenderError as error:
            return GradeError(error.kind, str(error), time.perf_counter() - started)
        return Grade(float(score), time.perf_counter() - started)
