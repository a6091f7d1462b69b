from __future__ import annotations

import re
from typing import Any

import pytest

from core.errors import InvalidRequest
from graders.spec import normalised, parse
from graders.specs.multi import Multi
from graders.specs.python import PythonSource
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity

GRADE = "def grade(sample, item):\n    return 1.0\n"


def string_check(**changes: Any) -> dict[str, Any]:
    config = {
        "type": "string_check",
        "name": "check",
        "input": "{{sample.output_text}}",
        "reference": "{{item.a}}",
        "operation": "eq",
    }
    return without_absent({**config, **changes})


def text_similarity(**changes: Any) -> dict[str, Any]:
    config = {"type": "text_similarity", "name": "alike", "input": "a", "reference": "b", "evaluation_metric": "fuzzy_match"}
    return without_absent({**config, **changes})


def python(**changes: Any) -> dict[str, Any]:
    return without_absent({"type": "python", "name": "code", "source": GRADE, **changes})


def multi(**changes: Any) -> dict[str, Any]:
    config = {"type": "multi", "name": "both", "graders": {"x": string_check(), "y": python()}, "calculate_output": "(x + y) / 2"}
    return without_absent({**config, **changes})


ABSENT = object()


def without_absent(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not ABSENT}


@pytest.mark.parametrize(
    ("config", "kind"),
    [(string_check(), StringCheck), (text_similarity(), TextSimilarity), (python(), PythonSource), (multi(), Multi)],
    ids=["string_check", "text_similarity", "python", "multi"],
)
def test_parses(config: dict[str, Any], kind: type) -> None:
    assert isinstance(parse(config), kind)


@pytest.mark.parametrize("config", [string_check(), text_similarity(), python(image_tag="2025-05-08"), multi()])
def test_what_was_sent_comes_back(config: dict[str, Any]) -> None:
    assert normalised(parse(config)) == config


def test_unknown_fields_are_echoed() -> None:
    config = multi(
        pass_threshold=0.5, later={"a": [1]}, graders={"x": string_check(pass_threshold=1, extra=None)}, calculate_output="x"
    )
    assert normalised(parse(config)) == config


@pytest.mark.parametrize("name", [ABSENT, None])
def test_a_missing_name_is_filled(name: object) -> None:
    assert re.fullmatch(r"grader-[A-Za-z0-9]{12}", normalised(parse(string_check(name=name)))["name"])


def test_a_filled_name_is_the_same_each_time() -> None:
    assert parse(python(name=ABSENT)) == parse(python(name=ABSENT))


def test_members_without_names_get_different_ones() -> None:
    spec = parse(multi(graders={"x": python(name=ABSENT), "y": python(name=ABSENT)}))
    assert isinstance(spec, Multi)
    assert spec.graders["x"].name != spec.graders["y"].name


def test_parsing_leaves_the_request_as_it_was() -> None:
    config = multi(name=ABSENT, graders={"x": python(name=ABSENT)}, calculate_output="x")
    parse(config)
    assert config == multi(name=ABSENT, graders={"x": python(name=ABSENT)}, calculate_output="x")


@pytest.mark.parametrize(
    "metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"]
)
def test_metrics(metric: str) -> None:
    assert normalised(parse(text_similarity(evaluation_metric=metric)))["evaluation_metric"] == metric


@pytest.mark.parametrize(
    ("config", "param", "code", "message"),
    [
        (None, "grader", "invalid_type", "Invalid type for 'grader': expected an object, but got null instead."),
        ([], "grader", "invalid_type", "Invalid type for 'grader': expected an object, but got an array instead."),
        ({}, "grader.type", "missing_required_parameter", "Missing required parameter: 'grader.type'."),
        (
            {"type": 3},
            "grader.type",
            "invalid_type",
            "Invalid type for 'grader.type': expected a string, but got an integer instead.",
        ),
        (
            {"type": "strng_check"},
            "grader.type",
            "invalid_value",
            "Invalid value: 'strng_check'. Supported values are: 'string_check', 'text_similarity', 'python', "
            "'score_model', 'endpoint', 'math', 'instructions', 'code' and 'multi'.",
        ),
        (
            {"type": "label_model"},
            "grader.type",
            "invalid_value",
            "Graders of type 'label_model' can only be members of a multi grader.",
        ),
        (string_check(input=ABSENT), "grader.input", "missing_required_parameter", "Missing required parameter: 'grader.input'."),
        (
            string_check(reference=1),
            "grader.reference",
            "invalid_type",
            "Invalid type for 'grader.reference': expected a string, but got an integer instead.",
        ),
        (
            string_check(name=True),
            "grader.name",
            "invalid_type",
            "Invalid type for 'grader.name': expected a string, but got a boolean instead.",
        ),
        (
            string_check(operation="neq"),
            "grader.operation",
            "invalid_value",
            "Invalid value: 'neq'. Supported values are: 'eq', 'ne', 'like' or 'ilike'.",
        ),
        (
            string_check(operation=None),
            "grader.operation",
            "invalid_type",
            "Invalid type for 'grader.operation': expected a string, but got null instead.",
        ),
        (
            string_check(pass_threshold="0.5"),
            "grader.pass_threshold",
            "invalid_type",
            "Invalid type for 'grader.pass_threshold': expected a number, but got a string instead.",
        ),
        (
            string_check(pass_threshold=float("nan")),
            "grader.pass_threshold",
            "invalid_value",
            "Invalid 'grader.pass_threshold': expected a finite number.",
        ),
        (
            string_check(input="{{env.KEY}}"),
            "grader.input",
            "invalid_value",
            "Invalid template in 'grader.input': 'env.KEY' names the namespace 'env'; only item and sample exist.",
        ),
        (
            text_similarity(reference="{{item.a"),
            "grader.reference",
            "invalid_value",
            "Invalid template in 'grader.reference': a '{{' is never closed by '}}'.",
        ),
        (
            text_similarity(evaluation_metric="cosine"),
            "grader.evaluation_metric",
            "invalid_value",
            "Invalid value: 'cosine'. This metric exists for evals only, not for a reward.",
        ),
        (
            python(source="def score(): ..."),
            "grader.source",
            "invalid_value",
            "Invalid 'grader.source': the source must define a function grade(sample, item).",
        ),
        (
            python(image_tag=5),
            "grader.image_tag",
            "invalid_type",
            "Invalid type for 'grader.image_tag': expected a string, but got an integer instead.",
        ),
        (multi(graders=ABSENT), "grader.graders", "missing_required_parameter", "Missing required parameter: 'grader.graders'."),
        (
            multi(graders=[string_check()]),
            "grader.graders",
            "invalid_type",
            "Invalid type for 'grader.graders': expected an object, but got an array instead.",
        ),
        (
            multi(graders=string_check()),
            "grader.graders.input",
            "invalid_type",
            "Invalid type for 'grader.graders.input': expected an object, but got a string instead.",
        ),
        (multi(graders={}), "grader.graders", "invalid_value", "Invalid 'grader.graders': expected at least one grader."),
        (
            multi(graders={"a-b": string_check()}),
            "grader.graders.a-b",
            "invalid_value",
            "Invalid key 'a-b' in 'graders': a formula cannot name it. Use letters, digits and underscores.",
        ),
        (
            multi(graders={"x": multi()}),
            "grader.graders.x.type",
            "invalid_value",
            "A multi grader cannot be a member of a multi grader.",
        ),
        (
            multi(graders={"x": string_check(operation=ABSENT)}),
            "grader.graders.x.operation",
            "missing_required_parameter",
            "Missing required parameter: 'grader.graders.x.operation'.",
        ),
        (
            multi(calculate_output=ABSENT),
            "grader.calculate_output",
            "missing_required_parameter",
            "Missing required parameter: 'grader.calculate_output'.",
        ),
        (
            multi(calculate_output="x +"),
            "grader.calculate_output",
            "invalid_value",
            "Invalid formula in 'grader.calculate_output': it ends too early.",
        ),
        (
            multi(calculate_output="x + z"),
            "grader.calculate_output",
            "invalid_value",
            "Invalid formula in 'grader.calculate_output': 'z' is not a key of 'graders' (x, y).",
        ),
    ],
)
def test_refuses_with_the_path_of_the_fault(config: object, param: str, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(config)
    assert (caught.value.param, caught.value.code, caught.value.message) == (param, code, message)


def test_the_path_starts_where_the_caller_says() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(string_check(input=1), "method.reinforcement.grader")
    assert caught.value.param == "method.reinforcement.grader.input"
