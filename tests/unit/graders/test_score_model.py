from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.models import JudgeEndpoint, ModelRegistry
from core.processes import SocketService
from graders.base import FailureKind, Grade, GradeError, Grader, Sample, Sandbox, TokenUsage
from graders.build import build
from graders.judges.pool import JudgePool
from graders.parts import GraderParts
from graders.spec import parse
from tests.judge import Said, Script, Server, always, completion, in_turn, serving, verdict

JUDGE = "gpt-4.1-2025-04-14"
SCORE = {
    "type": "score_model",
    "name": "s",
    "model": JUDGE,
    "input": [{"role": "user", "content": "Grade {{sample.output_text}}"}],
}
LABEL = {
    "type": "label_model",
    "name": "l",
    "model": JUDGE,
    "input": [{"role": "user", "content": "Label {{sample.output_text}}"}],
    "labels": ["good", "fair", "bad"],
    "passing_labels": ["good", "fair"],
}
SAMPLE = Sample(item={"answer": "4"}, output_text="4")
USAGE = {JUDGE: TokenUsage(11, 7, 3)}
Make = Callable[..., tuple[Server, Grader]]


def no_sandbox() -> Sandbox:
    raise AssertionError("nothing here runs code")


@pytest.fixture
def make() -> Iterator[Make]:
    """A scripted judge, and a grader that asks it."""
    with ExitStack() as stack:

        def make(script: Script, config: dict[str, Any]) -> tuple[Server, Grader]:
            server = stack.enter_context(serving(script))
            entry = JudgeEndpoint(JUDGE, f"{server.url}/v1", None, "there", 4, 30.0)
            pool = JudgePool(ModelRegistry({}, {}, {JUDGE: entry}), SocketService(["false"]))
            stack.callback(pool.close)
            return server, build(parse(config), GraderParts(no_sandbox, pool))

        yield make


@pytest.mark.parametrize(
    ("result", "score_range", "score"),
    [(0.25, None, 0.25), (1, None, 1.0), (1.5, None, 1.0), (-3, None, 0.0), (7, [1, 10], 7.0), (-1e300, [-2.5, 2.5], -2.5)],
)
def test_the_score_is_held_to_the_range(make: Make, result: float, score_range: list[float] | None, score: float) -> None:
    _, grader = make(always(verdict(result)), {**SCORE, **({"range": score_range} if score_range else {})})
    (grade,) = grader.grade([SAMPLE])
    assert isinstance(grade, Grade)
    assert (grade.score, grade.usage) == (score, USAGE)


@pytest.mark.parametrize("result", [None, "0.5", True, [1], {"a": 1}, "NaN"])
def test_what_is_no_number_is_no_score(make: Make, result: Any) -> None:
    _, grader = make(always(verdict(result)), SCORE)
    (failure,) = grader.grade([SAMPLE])
    assert isinstance(failure, GradeError)
    assert (failure.kind, failure.usage) == (FailureKind.MODEL_PARSE, USAGE)


@pytest.mark.parametrize(
    "text", ['{"result": NaN}', '{"result": Infinity}', '{"result": 1e999}', '{"result": 1' + "0" * 400 + "}"]
)
def test_what_is_not_finite_is_no_score(make: Make, text: str) -> None:
    _, grader = make(always(completion(text)), SCORE)
    (failure,) = grader.grade([SAMPLE])
    assert isinstance(failure, GradeError)
    assert failure.kind is FailureKind.MODEL_PARSE


def test_the_schema_names_the_range(make: Make) -> None:
    server, grader = make(always(verdict(1)), {**SCORE, "range": [0, 10]})
    grader.grade([SAMPLE])
    form = server.asked[0].body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["required"] == ["steps", "result"]
    assert form["schema"]["properties"]["result"]["type"] == "number"
    assert "from 0 to 10" in form["schema"]["properties"]["result"]["description"]


@pytest.mark.parametrize("limit", ["max_completions_tokens", "max_completion_tokens"])
def test_sampling_parameters_reach_the_judge(make: Make, limit: str) -> None:
    params = {"seed": 42, "temperature": 0, "top_p": 0.5, "reasoning_effort": "low", limit: 99}
    server, grader = make(always(verdict(1)), {**SCORE, "sampling_params": params})
    grader.grade([SAMPLE])
    body = server.asked[0].body
    assert {name: body[name] for name in ("seed", "temperature", "top_p", "reasoning_effort", "max_completion_tokens")} == {
        "seed": 42,
        "temperature": 0,
        "top_p": 0.5,
        "reasoning_effort": "low",
        "max_completion_tokens": 99,
    }


def test_a_sample_that_cannot_be_rendered_costs_no_call(make: Make) -> None:
    config = {**SCORE, "input": [{"role": "user", "content": "{{item.answer}}"}]}
    server, grader = make(in_turn(verdict(0.25), verdict(0.75)), config)
    results = grader.grade([SAMPLE, Sample(item={}, output_text=""), SAMPLE])
    assert sorted(result.score for result in results if isinstance(result, Grade)) == [0.25, 0.75]
    assert isinstance(results[1], GradeError)
    assert results[1].kind is FailureKind.INVALID_VARIABLE
    assert len(server.asked) == 2


@pytest.mark.parametrize(("label", "score"), [("good", 1.0), ("fair", 1.0), ("bad", 0.0)])
def test_a_label_passes_or_not(make: Make, label: str, score: float) -> None:
    config = {"type": "multi", "name": "m", "graders": {"l": LABEL}, "calculate_output": "l"}
    server, grader = make(always(verdict(label)), config)
    (grade,) = grader.grade([SAMPLE])
    assert isinstance(grade, Grade)
    assert (grade.score, grade.usage) == (score, USAGE)
    form = server.asked[0].body["response_format"]["json_schema"]["schema"]
    assert form["properties"]["result"]["enum"] == ["good", "fair", "bad"]


@pytest.mark.parametrize("said", [verdict("excellent"), verdict(1), verdict(["good"]), completion("hm")])
def test_another_label_is_no_label(make: Make, said: Said) -> None:
    _, grader = make(always(said), {"type": "multi", "graders": {"l": LABEL}, "calculate_output": "l"})
    (failure,) = grader.grade([SAMPLE])
    assert isinstance(failure, GradeError)
    assert failure.kind is FailureKind.MODEL_PARSE


def test_one_failed_judge_fails_the_whole_and_the_rest_stays_visible(make: Make) -> None:
    def script(asked: Any) -> Said:
        return verdict(0.5) if "Grade" in asked.body["messages"][0]["content"] else completion(None, refusal="no")

    config = {"type": "multi", "name": "m", "graders": {"s": SCORE, "l": LABEL}, "calculate_output": "s + l"}
    _, grader = make(script, config)
    (failure,) = grader.grade([SAMPLE])
    assert isinstance(failure, GradeError)
    assert failure.kind is FailureKind.MODEL_REFUSAL
    assert isinstance(failure.parts["s"], Grade)
    assert failure.parts["s"].score == 0.5
    assert failure.usage == {JUDGE: TokenUsage(22, 14, 6)}
