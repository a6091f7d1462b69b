"""The response body of `graders/run`. A failed grade is 200 with reward 0.0 and a flag, as OpenAI answers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graders.base import FailureKind, Grade, GradeError, TokenUsage
from graders.specs.base import GraderSpec

Json = dict[str, Any]

_FLAGS = (
    "formula_parse_error",
    "sample_parse_error",
    "truncated_observation_error",
    "unresponsive_reward_error",
    "invalid_variable_error",
    "other_error",
    "python_grader_server_error",
    "python_grader_runtime_error",
    "model_grader_server_error",
    "model_grader_refusal_error",
    "model_grader_parse_error",
    "model_grader_exceeded_max_tokens_error",
    "endpoint_grader_internal_error",
    "endpoint_grader_server_error",
    "endpoint_grader_safety_check_error",
)
_TEXTS = (
    "sample_parse_error_details",
    "invalid_variable_error_details",
    "python_grader_server_error_type",
    "python_grader_runtime_error_details",
    "model_grader_server_error_details",
    "model_grader_refusal_error_details",
    "model_grader_parse_error_details",
    "endpoint_grader_internal_error_details",
    "endpoint_grader_server_error_details",
)


def run_response(spec: GraderSpec, result: Grade | GradeError) -> Json:
    """OpenAI's body for one graded sample: all 24 error fields, sub-rewards of a multi grader (null where a member failed)."""
    return {
        "reward": result.score if isinstance(result, Grade) else 0.0,
        "metadata": {
            "name": spec.name,
            "type": spec.type,
            "errors": error_flags(result),
            "execution_time": result.seconds,
            "scores": {},
            "token_usage": sum(tokens.prompt + tokens.completion for tokens in result.usage.values()) if result.usage else None,
            "sampled_model_name": getattr(spec, "model", None),
            **_details(result),
        },
        "sub_rewards": {key: part.score if isinstance(part, Grade) else None for key, part in result.parts.items()},
        "model_grader_token_usage_per_model": {model: token_counts(tokens) for model, tokens in result.usage.items()},
    }


def _details(result: Grade | GradeError) -> Json:
    """What grades have to say of themselves, a field of ours: of the whole under `""`, of parts under their names."""
    said = {"": result, **result.parts}
    texts = {name: grade.details for name, grade in said.items() if isinstance(grade, Grade) and grade.details}
    return {"details": texts} if texts else {}


def token_counts(tokens: TokenUsage) -> Json:
    """A judge's tokens under OpenAI's names."""
    return {
        "prompt_tokens": tokens.prompt,
        "total_tokens": tokens.prompt + tokens.completion,
        "completion_tokens": tokens.completion,
        "cached_tokens": tokens.cached,
    }


def error_flags(result: Grade | GradeError) -> Json:
    """The `errors` object: a flag for each kind of failure, of the grader itself and of its members.

    Two texts join the 24 fields where they are needed, because OpenAI's list has no place for them:
    `formula_parse_error_details` and `other_error_details`.
    """
    errors: Json = {**dict.fromkeys(_FLAGS, False), **dict.fromkeys(_TEXTS)}
    for failure in _failures(result):
        flag = f"{failure.kind.value}_error"
        errors[flag] = True
        field = f"{flag}_type" if failure.kind is FailureKind.PYTHON_SERVER else f"{flag}_details"
        errors[field] = errors.get(field) or failure.details
    return errors


def _failures(result: Grade | GradeError) -> Iterator[GradeError]:
    if isinstance(result, GradeError):
        yield result
    for part in result.parts.values():
        yield from _failures(part)
