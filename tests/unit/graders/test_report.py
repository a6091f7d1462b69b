from __future__ import annotations

import pytest
from openai.types.fine_tuning.alpha.grader_run_response import GraderRunResponse

from graders.base import FailureKind, Grade, GradeError
from graders.report import error_flags, run_response
from graders.spec import parse

CHECK = {"type": "string_check", "name": "check", "input": "a", "reference": "a", "operation": "eq"}
SPEC = parse(CHECK)
MULTI = parse({"type": "multi", "name": "m", "graders": {"x": CHECK, "y": CHECK}, "calculate_output": "x + y"})
RESULTS = [
    Grade(0.5, 0.1),
    GradeError(FailureKind.OTHER, "why"),
    Grade(0.5, 0.1, {"x": Grade(0.5), "y": Grade(0.0)}),
    GradeError(FailureKind.PYTHON_RUNTIME, "why", 0.1, {"x": Grade(0.5), "y": GradeError(FailureKind.PYTHON_RUNTIME, "why")}),
]


def test_a_grade() -> None:
    body = run_response(SPEC, Grade(0.5, 0.1))
    assert body.pop("metadata").pop("errors")
    assert body == {"reward": 0.5, "sub_rewards": {}, "model_grader_token_usage_per_model": {}}


def test_metadata() -> None:
    metadata = run_response(SPEC, Grade(0.5, 0.1))["metadata"]
    del metadata["errors"]
    assert metadata == {
        "name": "check",
        "type": "string_check",
        "execution_time": 0.1,
        "scores": {},
        "token_usage": None,
        "sampled_model_name": None,
    }


def test_there_are_24_error_fields() -> None:
    assert len(error_flags(Grade(1.0))) == 24


def test_a_grade_raises_no_flag() -> None:
    assert not any(error_flags(Grade(1.0)).values())


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_has_reward_zero(kind: FailureKind) -> None:
    assert run_response(SPEC, GradeError(kind, "why"))["reward"] == 0.0


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_raises_its_flag_and_no_other(kind: FailureKind) -> None:
    errors = error_flags(GradeError(kind, "why"))
    assert [name for name, value in errors.items() if value is True] == [f"{kind.value}_error"]


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_says_why(kind: FailureKind) -> None:
    errors = error_flags(GradeError(kind, "why"))
    suffix = "type" if kind is FailureKind.PYTHON_SERVER else "details"
    assert [name for name, value in errors.items() if value == "why"] == [f"{kind.value}_error_{suffix}"]


def test_members_scores_are_sub_rewards() -> None:
    result = Grade(1.5, 0.1, {"x": Grade(0.5), "y": Grade(1.0)})
    assert run_response(MULTI, result)["sub_rewards"] == {"x": 0.5, "y": 1.0}


def test_a_failed_member_has_no_sub_reward() -> None:
    result = GradeError(FailureKind.OTHER, "why", 0.1, {"x": Grade(0.5), "y": GradeError(FailureKind.OTHER, "why")})
    assert run_response(MULTI, result)["sub_rewards"] == {"x": 0.5, "y": None}


def test_flags_of_all_failed_members_are_raised() -> None:
    parts = {"x": GradeError(FailureKind.SAMPLE_PARSE, "no json"), "y": GradeError(FailureKind.INVALID_VARIABLE, "no value")}
    errors = error_flags(GradeError(FailureKind.SAMPLE_PARSE, "grader 'x': no json", 0.1, parts))
    assert [name for name, value in errors.items() if value is True] == ["sample_parse_error", "invalid_variable_error"]


@pytest.mark.parametrize("result", RESULTS)
def test_the_sdk_accepts_the_body_in_strict_mode(result: Grade | GradeError) -> None:
    GraderRunResponse.model_validate(run_response(MULTI, result), strict=True)
