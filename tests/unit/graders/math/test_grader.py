from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import InvalidRequest
from graders.base import FailureKind, Grade, GradeError, Sample
from graders.math.grader import MAX_CHARACTERS, MathGrader
from graders.math.pool import MathPool
from graders.pair import PairGrader
from graders.spec import normalised, parse
from graders.specs.math import MathEquality
from graders.specs.string_check import StringCheck
from graders.string_check import string_check


@pytest.fixture(scope="module")
def pool() -> Iterator[MathPool]:
    pool = MathPool(1)
    yield pool
    pool.close()


def config(**fields: Any) -> MathEquality:
    spec = parse({"type": "math", "name": "m", "reference": "{{ item.answer }}", **fields})
    assert isinstance(spec, MathEquality)
    return spec


def judge() -> PairGrader:
    """Stands where a judge would: it grades by the words."""
    spec = parse({"type": "string_check", "input": "{{sample.output_text}}", "reference": "twelve", "operation": "like"})
    assert isinstance(spec, StringCheck)
    return string_check(spec)


def grade(spec: MathEquality, pool: MathPool, text: str, answer: Any, judge: PairGrader | None = None) -> Grade | GradeError:
    [result] = MathGrader(spec, pool, judge).grade([Sample(item={"answer": answer}, output_text=text)])
    return result


def test_the_completion_is_the_input_unless_told_otherwise(pool: MathPool) -> None:
    result = grade(config(), pool, "so it is \\boxed{\\frac{24}{2}}", 12)
    assert isinstance(result, Grade)
    assert result.score == 1.0
    assert result.seconds > 0


def test_a_completion_without_an_answer_is_wrong(pool: MathPool) -> None:
    result = grade(config(), pool, "I do not know", 12)
    assert isinstance(result, Grade)
    assert result.score == 0.0


def test_a_reference_that_is_no_mathematics_is_an_error(pool: MathPool) -> None:
    result = grade(config(), pool, "12", "")
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE


def test_astronomic_work_is_an_error_and_no_zero(pool: MathPool) -> None:
    result = grade(config(), pool, "$1000000000!$", 12)
    assert isinstance(result, GradeError)
    assert (result.kind, result.details) == (FailureKind.OTHER, "the comparison took longer than 5 seconds")


def test_a_row_without_the_reference_is_an_error(pool: MathPool) -> None:
    [result] = MathGrader(config(), pool).grade([Sample(item={}, output_text="12")])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE


def test_a_text_beyond_the_limit_is_an_error(pool: MathPool) -> None:
    result = grade(config(), pool, "1" * (MAX_CHARACTERS + 1), 12)
    assert isinstance(result, GradeError)
    assert "too long" in result.details


@pytest.mark.parametrize(("text", "score"), [("it is twelve", 1.0), ("it is eleven", 0.0), ("twelve, that is 13", 0.0)])
def test_the_judge_decides_where_there_is_no_expression(pool: MathPool, text: str, score: float) -> None:
    result = grade(config(), pool, text, 12, judge())
    assert isinstance(result, Grade)
    assert result.score == score


def test_a_judge_is_named_for_checks() -> None:
    assert list(config(judge="some-model").judges("grader")) == [("some-model", "grader.judge")]


def test_it_comes_back_as_it_was_sent() -> None:
    sent = {"type": "math", "name": "m", "reference": "12", "precision": 3}
    assert normalised(parse(sent)) == sent


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("reference", "{{ item.a", "Invalid template in 'grader.reference'"),
        ("precision", 99, "Invalid 'grader.precision'"),
        ("precision", "6", "Invalid type for 'grader.precision'"),
        ("strict", 1, "Invalid type for 'grader.strict'"),
    ],
)
def test_a_bad_field_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        config(**{field: value})
