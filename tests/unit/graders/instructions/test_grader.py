from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidRequest
from graders.base import FailureKind, Grade, GradeError, Sample
from graders.instructions.grader import MAX_CHARACTERS, InstructionsGrader
from graders.spec import normalised, parse
from graders.specs.instructions import Instructions

TWO = [
    {"id": "punctuation:no_comma"},
    {"id": "length_constraints:number_words", "kwargs": {"num_words": 3, "relation": "at least"}},
]
ROW = {"instruction_id_list": [entry["id"] for entry in TWO], "kwargs": [{"num_words": None}, TWO[1]["kwargs"]]}


def grade(text: str, item: dict[str, Any] | None = None, **fields: Any) -> Grade | GradeError:
    spec = parse({"type": "instructions", "name": "i", "instructions": TWO, **fields})
    assert isinstance(spec, Instructions)
    [result] = InstructionsGrader(spec).grade([Sample(item=item or {}, output_text=text)])
    return result


def score(result: Grade | GradeError) -> float:
    assert isinstance(result, Grade), result
    return result.score


@pytest.mark.parametrize(("text", "share"), [("one two three", 1.0), ("one two", 0.5), ("one, two", 0.0), ("", 0.0)])
def test_the_share_of_instructions_kept(text: str, share: float) -> None:
    assert score(grade(text)) == share


@pytest.mark.parametrize(("text", "reward"), [("one two three", 1.0), ("one two", 0.0)])
def test_all_or_nothing(text: str, reward: float) -> None:
    assert score(grade(text, reward="all")) == reward


def test_every_instruction_is_a_part() -> None:
    result = grade("one two")
    assert {name: part.score for name, part in result.parts.items() if isinstance(part, Grade)} == {
        "punctuation:no_comma": 1.0,
        "length_constraints:number_words": 0.0,
    }


def test_the_same_instruction_twice_is_two_parts() -> None:
    twice = [{"id": "count:numbers", "kwargs": {"N": n}} for n in (1, 2)]
    assert list(grade("1", instructions=twice).parts) == ["count:numbers", "count:numbers (2)"]


@pytest.mark.parametrize(
    ("template", "item"),
    [
        ("{{ item }}", ROW),
        ("{{ item.constraints }}", {"constraints": ROW}),
        ("{{ item.constraints }}", {"constraints": TWO}),
        ("{{ item.constraints }}", {"constraints": json.dumps(ROW)}),
    ],
)
def test_the_row_lists_them(template: str, item: dict[str, Any]) -> None:
    assert score(grade("one two", item, instructions=template)) == 0.5


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "not json",
        "[" * 100_000,
        {"instruction_id_list": ["a"]},
        {"instruction_id_list": ["a"], "kwargs": []},
        [{"kwargs": {}}],
        [{"id": "punctuation:no_comma", "kwargs": []}],
        [{"id": "nope"}],
        [{"id": "count:numbers", "kwargs": {"N": "x"}}],
        TWO * 40,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_row_that_lists_nonsense_is_an_error(value: Any) -> None:
    result = grade("one", {"constraints": value}, instructions="{{ item.constraints }}")
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE
    assert result.details


def test_a_row_without_them_is_an_error() -> None:
    result = grade("one", {}, instructions="{{ item.constraints }}")
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE


def test_a_text_beyond_the_limit_is_an_error() -> None:
    result = grade("a" * (MAX_CHARACTERS + 1))
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.OTHER


def test_it_comes_back_as_it_was_sent() -> None:
    sent = {"type": "instructions", "name": "i", "instructions": TWO, "reward": "all"}
    assert normalised(parse(sent)) == sent


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"instructions": [{"id": "nope:nope"}]}, "grader.instructions[0].id", "unknown instruction 'nope:nope'"),
        (
            {"instructions": [TWO[0], {"id": "count:numbers", "kwargs": {"N": "x"}}]},
            "grader.instructions[1].kwargs.N",
            "argument 'N' of 'count:numbers'",
        ),
        ({"instructions": "{{ item.a }} and"}, "grader.instructions", "it must be one variable"),
        ({"instructions": "{{ item.a"}, "grader.instructions", "never closed"),
        ({"reward": "some"}, "grader.reward", "Supported values"),
    ],
)
def test_a_bad_field_is_refused(fields: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message.replace("(", r"\(")) as caught:
        grade("a", **fields)
    assert caught.value.param == param


@pytest.mark.parametrize("instructions", [[], [{"id": 5}], [{"kwargs": {}}], 7, [{"id": "punctuation:no_comma", "more": 1}]])
def test_a_list_of_another_shape_is_refused(instructions: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        grade("a", instructions=instructions)
    assert caught.value.param is not None
    assert caught.value.param.startswith("grader.instructions")
