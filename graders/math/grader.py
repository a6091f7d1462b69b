"""The grader of type `math`."""

from __future__ import annotations

from collections.abc import Sequence

from graders.base import FailureKind, Grade, GradeError, Grader, Sample
from graders.math.pool import LIMIT_SECONDS, Comparison, MathPool, PoolUnavailable, Verdict
from graders.specs.math import MathEquality
from graders.template import RenderError, Template

MAX_CHARACTERS = 100_000
"""Of each side."""
_FAILURES = {
    "time": f"the comparison took longer than {LIMIT_SECONDS:g} seconds",
    "memory": "the comparison took too much memory",
    "depth": "the expression is nested too deeply",
    "crash": "the comparison ended its process",
}


class MathGrader:
    """1.0 where the completion's answer equals the reference, else 0.0; a completion without an answer gets 0.0.

    What cannot be compared, for want of an expression on either side or because the comparison fails, is `judge`'s to grade where
    there is one.
    """

    type = "math"

    def __init__(self, spec: MathEquality, pool: MathPool, judge: Grader | None = None) -> None:
        self.name = spec.name
        self._spec = spec
        self._input = Template.parse(spec.input)
        self._reference = Template.parse(spec.reference)
        self._pool = pool
        self._judge = judge

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        prepared = [self._prepare(sample) for sample in samples]
        comparisons = [entry for entry in prepared if isinstance(entry, Comparison)]
        try:
            verdicts = self._pool.compare(comparisons)
        except PoolUnavailable as error:
            return [GradeError(FailureKind.OTHER, str(error)) for _ in samples]
        return self._decide(samples, prepared, verdicts)

    def close(self) -> None:
        """Close the judge. The processes are shared by all graders of type `math`, and end with the process that started them."""
        if self._judge is not None:
            self._judge.close()

    def _decide(
        self, samples: Sequence[Sample], prepared: Sequence[Comparison | GradeError], verdicts: Sequence[Verdict]
    ) -> list[Grade | GradeError]:
        remaining = iter(verdicts)
        results: list[Grade | GradeError] = []
        open_questions: list[int] = []
        for index, entry in enumerate(prepared):
            if isinstance(entry, GradeError):
                results.append(entry)
                continue
            verdict = next(remaining)
            results.append(_grade(verdict, entry))
            if verdict.failure is not None or not verdict.answered:
                open_questions.append(index)
        if self._judge is not None and open_questions:
            for index, judged in zip(open_questions, self._judge.grade([samples[i] for i in open_questions]), strict=True):
                results[index] = judged
        return results

    def _prepare(self, sample: Sample) -> Comparison | GradeError:
        try:
            text, reference = self._input.render(sample), self._reference.render(sample)
        except RenderError as error:
            return GradeError(error.kind, str(error))
        longest = max(len(text), len(reference))
        if longest > MAX_CHARACTERS:
            return GradeError(FailureKind.OTHER, f"a text of {longest} characters is too long: the limit is {MAX_CHARACTERS}")
        return Comparison(text, reference, self._spec.precision, self._spec.strict)


def _grade(verdict: Verdict, comparison: Comparison) -> Grade | GradeError:
    if verdict.failure is not None:
        return GradeError(FailureKind.OTHER, _FAILURES[verdict.failure], verdict.seconds)
    if not verdict.readable:
        details = f"the reference {comparison.reference[:100]!r} holds no mathematical expression"
        return GradeError(FailureKind.INVALID_VARIABLE, details, verdict.seconds)
    return Grade(float(verdict.equal), verdict.seconds)
