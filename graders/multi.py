"""`multi`: several graders joined by a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graders.base import FailureKind, Grade, GradeError, Grader, Sample, total_usage
from graders.formula import Formula, FormulaValueError
from graders.specs.multi import Multi


class MultiGrader:
    """Grades every sample with every member. A sample that one member cannot grade has no reward, but keeps its parts."""

    type = "multi"

    def __init__(self, spec: Multi, members: Mapping[str, Grader]) -> None:
        self.name = spec.name
        self._formula = Formula.parse(spec.calculate_output)
        self._members = dict(members)

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        columns = {key: member.grade(samples) for key, member in self._members.items()}
        return [self._join({key: column[index] for key, column in columns.items()}) for index in range(len(samples))]

    def close(self) -> None:
        """Close every member."""
        for member in self._members.values():
            member.close()

    def _join(self, parts: dict[str, Grade | GradeError]) -> Grade | GradeError:
        seconds, usage = sum(part.seconds for part in parts.values()), total_usage(part.usage for part in parts.values())
        for key, part in parts.items():
            if isinstance(part, GradeError):
                return GradeError(part.kind, f"grader '{key}': {part.details}", seconds, parts, usage)
        scores = {key: part.score for key, part in parts.items() if isinstance(part, Grade)}
        try:
            return Grade(self._formula.evaluate(scores), seconds, parts, usage)
        except FormulaValueError as error:
            return GradeError(FailureKind.FORMULA_PARSE, f"calculate_output: {error}", seconds, parts, usage)
