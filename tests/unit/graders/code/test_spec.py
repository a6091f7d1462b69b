from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidRequest
from graders.code.tests import MAX_OUTPUT, InvalidTests, read_tests
from graders.spec import normalised, parse

PAIR = {"stdin": "1", "stdout": "2"}
CALL = {"call": "f", "args": [1], "expected": 2}


@pytest.mark.parametrize(
    "fields",
    [
        {"tests": [PAIR]},
        {"tests": [CALL, {"call": "Solution.f", "expected": None, "kwargs": {"a": [1]}}]},
        {"tests": "{{ item.tests }}", "time_limit": 2, "memory_limit": 128, "reward": "all"},
        {"unit_tests": "assert f(1) == 2"},
        {"unit_tests": "{{ item.tests }}", "entry_point": "{{ item.entry_point }}"},
    ],
)
def test_it_comes_back_as_it_was_sent(fields: dict[str, Any]) -> None:
    sent = {"type": "code", "name": "c", **fields}
    assert normalised(parse(sent)) == sent


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({}, "grader.tests", "give 'tests' or 'unit_tests'"),
        ({"tests": [PAIR], "unit_tests": "assert f()"}, "grader.tests", "give 'tests' or 'unit_tests'"),
        ({"tests": []}, "grader.tests", "1 to 200 tests"),
        ({"tests": [PAIR, CALL]}, "grader.tests", "every test"),
        ({"tests": [{"stdin": 1, "stdout": "2"}]}, "grader.tests", "must be strings"),
        ({"tests": [{"call": "os.path.join", "expected": 1}]}, "grader.tests", "'function' or 'Class.method'"),
        ({"tests": [{"call": "f", "args": 1, "expected": 1}]}, "grader.tests", "'args', a list"),
        ({"tests": "{{ item.tests }} "}, None, ""),
        ({"tests": "tests"}, "grader.tests", "it must be one variable"),
        ({"unit_tests": "assert ("}, "grader.unit_tests", "not valid Python"),
        ({"unit_tests": "(" * 5000}, "grader.unit_tests", "not valid Python|nested too deeply"),
        ({"unit_tests": "{{ item.tests"}, "grader.unit_tests", "never closed"),
        ({"tests": [PAIR], "time_limit": 0}, "grader.time_limit", "greater than 0"),
        ({"tests": [PAIR], "time_limit": 999}, "grader.time_limit", "less than or equal to 60"),
        ({"tests": [PAIR], "memory_limit": 1}, "grader.memory_limit", "greater than or equal to 64"),
        ({"tests": [PAIR], "language": "c"}, "grader.language", "'python'|a string|Supported"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str | None, message: str) -> None:
    config = {"type": "code", "name": "c", **fields}
    if param is None:
        parse(config)
        return
    with pytest.raises(InvalidRequest, match=message) as caught:
        parse(config)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "value",
    [None, 5, "not json", "[" * 100_000, [], [PAIR] * 201, [{"stdout": "a" * (MAX_OUTPUT + 1)}], ["x"], [{"call": "f"}]],
    ids=lambda value: repr(value)[:30],
)
def test_a_row_without_tests(value: Any) -> None:
    with pytest.raises(InvalidTests):
        read_tests(value)


def test_a_row_may_hold_them_as_json() -> None:
    assert read_tests('[{"stdin": "1", "stdout": "2"}]') == read_tests([PAIR])


def test_the_code_under_test_is_never_sent_what_is_expected() -> None:
    [test] = read_tests([{**CALL, "expected": "secret"}])
    assert "secret" not in repr(test.sent())  # type: ignore[union-attr]
