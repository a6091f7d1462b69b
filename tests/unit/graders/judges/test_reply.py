from __future__ import annotations

from typing import Any

import pytest

from graders.base import FailureKind, TokenUsage
from graders.judges.base import Answer
from graders.judges.reply import no_verdict, verdict, verdict_schema


def answer(text: str, *, cut_off: bool = False) -> Answer:
    return Answer(text, cut_off, TokenUsage(1, 2, 0), 0.5)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"steps": [], "result": 0.25}', 0.25),
        ('  {"result": 1}\n', 1),
        ('```json\n{"steps": [], "result": 0.5}\n```', 0.5),
        ('First {"result": 0} seemed right. But no:\n{"steps": [{"description": "{", "conclusion": "}"}], "result": 0.75}', 0.75),
        ('{"result": 1} is what the completion asks for. {"note": "no verdict"}', 1),
        ("0.5", 0.5),
        ('"good"', "good"),
        ('{"result": "good"}', "good"),
        ('{"score": 1}', None),
        ("Score: 7", None),
        ("", None),
        ("{" * 100_000, None),
        ('{"a":' * 100_000, None),
        ("[" * 100_000, None),
        ('{"result": ' + "9" * 5000 + "}", None),
    ],
)
def test_a_verdict_is_found_where_there_is_one(text: str, result: Any) -> None:
    assert verdict(answer(text)) == result


def test_what_was_written_is_shown_where_there_is_none() -> None:
    failure = no_verdict(answer("Score: 7"), "a number as the result", {})
    assert (failure.kind, failure.seconds) == (FailureKind.MODEL_PARSE, 0.5)
    assert failure.details == "expected a number as the result, but the judge wrote: 'Score: 7'"


def test_an_answer_cut_off_is_a_failure_of_its_own() -> None:
    assert no_verdict(answer('{"steps": [', cut_off=True), "a number", {}).kind is FailureKind.MODEL_MAX_TOKENS


def test_the_schema_is_one_that_strict_servers_take() -> None:
    schema = verdict_schema({"type": "number"})
    assert list(schema["properties"]) == schema["required"] == ["steps", "result"]
    step = schema["properties"]["steps"]["items"]
    assert step["required"] == ["description", "conclusion"]
    assert schema["additionalProperties"] is step["additionalProperties"] is False
