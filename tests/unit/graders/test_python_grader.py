from __future__ import annotations

from typing import Any

import pytest

from graders.base import FailureKind, Grade, GradeError, SandboxReply
from graders.python_grader import judge


@pytest.mark.parametrize(("value", "score"), [(0.25, 0.25), (5, 5.0), (-1.5, -1.5), (True, 1.0), (False, 0.0)])
def test_a_finite_number_is_a_grade(value: Any, score: float) -> None:
    assert judge(SandboxReply(value, None, 0.5)) == Grade(score, 0.5)


@pytest.mark.parametrize("value", [None, "1.0", [1.0], {}, float("nan"), float("inf"), float("-inf"), 10**400])
def test_everything_else_is_an_error_of_the_grader(value: Any) -> None:
    result = judge(SandboxReply(value, None, 0.5))
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.PYTHON_RUNTIME


def test_an_error_keeps_its_text() -> None:
    assert judge(SandboxReply(None, "ValueError: no", 0.5)) == GradeError(FailureKind.PYTHON_RUNTIME, "ValueError: no", 0.5)
