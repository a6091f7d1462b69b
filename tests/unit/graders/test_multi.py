from __future__ import annotations

import pytest

from graders.base import FailureKind, Grade, GradeError, Grader, Sample, Sandbox
from graders.build import build
from graders.parts import GraderParts
from graders.spec import parse


def no_sandbox() -> Sandbox:
    raise AssertionError("no python grader here")


def equals(reference: str) -> dict[str, str]:
    return {"type": "string_check", "input": "{{sample.output_text}}", "reference": reference, "operation": "eq"}


def multi(formula: str) -> Grader:
    config = {"type": "multi", "graders": {"a": equals("{{item.a}}"), "b": equals("{{item.b}}")}, "calculate_output": formula}
    return build(parse(config), GraderParts(no_sandbox))


@pytest.mark.parametrize(("formula", "score"), [("0.75 * a + 0.25 * b", 0.75), ("a", 1.0), ("a - 3", -2.0), ("min(a, b)", 0.0)])
def test_the_formula_joins_the_scores(formula: str, score: float) -> None:
    [result] = multi(formula).grade([Sample(item={"a": "x", "b": "y"}, output_text="x")])
    assert isinstance(result, Grade)
    assert result.score == score


def test_parts_hold_the_members_scores() -> None:
    [result] = multi("a + b").grade([Sample(item={"a": "x", "b": "y"}, output_text="x")])
    assert {key: part.score for key, part in result.parts.items() if isinstance(part, Grade)} == {"a": 1.0, "b": 0.0}


def test_a_failed_member_fails_the_whole_even_where_the_formula_would_ignore_it() -> None:
    [result] = multi("a").grade([Sample(item={"a": "x"}, output_text="x")])
    assert isinstance(result, GradeError)
    assert (result.kind, result.details[:10]) == (FailureKind.INVALID_VARIABLE, "grader 'b'")


def test_the_parts_of_a_failure_are_kept() -> None:
    [result] = multi("a").grade([Sample(item={"a": "x"}, output_text="x")])
    assert {key: type(part) for key, part in result.parts.items()} == {"a": Grade, "b": GradeError}


@pytest.mark.parametrize("formula", ["a / b", "sqrt(b - a)", "exp(1000 * a)"])
def test_a_formula_without_a_value_is_an_error(formula: str) -> None:
    [result] = multi(formula).grade([Sample(item={"a": "x", "b": "y"}, output_text="x")])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.FORMULA_PARSE
