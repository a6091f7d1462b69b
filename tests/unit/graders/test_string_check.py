from __future__ import annotations

import pytest

from graders.base import FailureKind, Grade, GradeError, Sample
from graders.pair import PairGrader
from graders.specs.string_check import StringCheck
from graders.string_check import string_check


def grader(operation: str, text: str = "{{sample.output_text}}", reference: str = "{{item.answer}}") -> PairGrader:
    return string_check(
        StringCheck.model_validate(
            {"type": "string_check", "name": "n", "input": text, "reference": reference, "operation": operation}
        )
    )


@pytest.mark.parametrize(
    ("operation", "text", "answer", "score"),
    [
        ("eq", "Cat", "Cat", 1.0),
        ("eq", "Cat", "cat", 0.0),
        ("eq", "Cat ", "Cat", 0.0),
        ("ne", "Cat", "cat", 1.0),
        ("ne", "Cat", "Cat", 0.0),
        ("like", "a Cat sat", "Cat", 1.0),
        ("like", "a Cat sat", "cat", 0.0),
        ("like", "Cat", "a Cat sat", 0.0),
        ("like", "a Cat", "%Cat", 0.0),
        ("ilike", "a Cat sat", "cAT", 1.0),
        ("ilike", "Straße", "STRASSE", 1.0),
        ("ilike", "a dog", "cat", 0.0),
        ("like", "anything", "", 1.0),
    ],
)
def test_operations(operation: str, text: str, answer: str, score: float) -> None:
    [result] = grader(operation).grade([Sample(item={"answer": answer}, output_text=text)])
    assert isinstance(result, Grade)
    assert result.score == score


def test_a_number_compares_as_its_json() -> None:
    [result] = grader("eq").grade([Sample(item={"answer": 42}, output_text="42")])
    assert isinstance(result, Grade)
    assert result.score == 1.0


def test_sides_may_be_swapped_or_literal() -> None:
    [result] = grader("eq", "{{item.answer}}", "yes").grade([Sample(item={"answer": "yes"}, output_text="")])
    assert isinstance(result, Grade)
    assert result.score == 1.0


def test_a_row_without_the_value_is_an_error_and_no_zero() -> None:
    [result] = grader("ne").grade([Sample(item={}, output_text="Cat")])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE


def test_a_completion_that_is_not_json_is_an_error() -> None:
    [result] = grader("eq", "{{sample.output_json.label}}").grade([Sample(item={"answer": "Cat"}, output_text="Cat")])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.SAMPLE_PARSE
