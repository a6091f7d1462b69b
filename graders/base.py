"""The seam of the reward. `Grade` and `GradeError` are different types: a broken grader can never become a reward of zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One completion with the dataset row it answers: what templates call `sample` and `item`.

    `output_json` is filled by the caller where the text parses (graders/run) or the job asks for JSON.
    """

    item: Json
    output_text: str
    output_json: Any = None
    output_tools: list[Json] = field(default_factory=list)

    def namespace(self) -> Json:
        """The `sample` object that graders see (OpenAI's sample schema)."""
        message = {"role": "assistant", "content": self.output_text, "refusal": None, "tool_calls": self.output_tools or None}
        return {
            "output_text": self.output_text,
            "output_json": self.output_json,
            "output_tools": self.output_tools,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }


class FailureKind(StrEnum):
    """Why a grade is missing, in OpenAI's names (the flag on the wire is `<value>_error`)."""

    SAMPLE_PARSE = "sample_parse"
    """The completion is not the JSON that the grader reads."""
    INVALID_VARIABLE = "invalid_variable"
    """A template names something that this row or sample lacks."""
    FORMULA_PARSE = "formula_parse"
    """`calculate_output` cannot be evaluated."""
    PYTHON_RUNTIME = "python_grader_runtime"
    """The grader's code raised, was killed, ran out of time, or returned no finite number."""
    PYTHON_SERVER = "python_grader_server"
    """The sandbox could not run the code at all."""
    MODEL_SERVER = "model_grader_server"
    """The judge did not answer, or answered with an error, after every retry."""
    MODEL_REFUSAL = "model_grader_refusal"
    """The judge declined."""
    MODEL_PARSE = "model_grader_parse"
    """The judge answered, but not with a grade."""
    MODEL_MAX_TOKENS = "model_grader_exceeded_max_tokens"
    """The judge's answer was cut off before its grade."""
    ENDPOINT_INTERNAL = "endpoint_grader_internal"
    """The call could not be made or its reply not read: refused address, oversized, or not a score."""
    ENDPOINT_SERVER = "endpoint_grader_server"
    """The endpoint did not answer, or answered with an error, after every retry."""
    ENDPOINT_SAFETY = "endpoint_grader_safety_check"
    """The endpoint's reply was withheld by a safety check."""
    OTHER = "other"


@dataclass(frozen=True)
class TokenUsage:
    """What a judge's calls took. `cached` are those of `prompt` that the judge's server had at hand."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(self.prompt + other.prompt, self.completion + other.completion, self.cached + other.cached)


Usage = Mapping[str, TokenUsage]
"""Tokens by the judge's name, as the grader's configuration calls it."""


def total_usage(usages: Iterable[Usage]) -> dict[str, TokenUsage]:
    """The sum, model by model."""
    total: dict[str, TokenUsage] = {}
    for usage in usages:
        for model, tokens in usage.items():
            total[model] = total.get(model, TokenUsage()) + tokens
    return total


@dataclass(frozen=True)
class GradeError:
    """A sample without a grade."""

    kind: FailureKind
    details: str
    seconds: float = 0.0
    parts: dict[str, Grade | GradeError] = field(default_factory=dict)
    usage: Usage = field(default_factory=dict)
    """Of this grader's judges and of all its members': failed calls cost too."""


@dataclass(frozen=True)
class Grade:
    """A finite score. `parts` holds each member of a multi grader under its key, failed ones included."""

    score: float
    seconds: float = 0.0
    """Execution time."""
    parts: dict[str, Grade | GradeError] = field(default_factory=dict)
    usage: Usage = field(default_factory=dict)
    """Of this grader's judges and of all its members'."""
    details: str = ""
    """What there is to say of the score, such as which error a program under test ended with."""


class Grader(Protocol):
    """Scores samples. Never raises for what a sample or a user's code does: that is a `GradeError`."""

    name: str
    type: str

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""

    def close(self) -> None:
        """Let go of processes and connections."""


@dataclass(frozen=True)
class SandboxReply:
    """What one call of user code came to: a value, or an error's text."""

    value: Any = None
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Program:
    """Untrusted code to run once, in an empty directory of its own, by the graders' interpreter."""

    source: str
    """A Python script."""
    stdin: str = ""
    seconds: float = 10.0
    """Wall time after which it is killed."""
    memory_bytes: int = 512 << 20
    output_bytes: int = 64 << 10
    """Of each of stdout and stderr; what goes beyond is cut."""


@dataclass(frozen=True)
class ProgramResult:
    """How a program ended: all of it under the program's control, and worth no more trust than the program."""

    exit_code: int | None
    """None where a signal or a limit ended it."""
    stdout: str = ""
    stderr: str = ""
    timed_out: bool = False
    out_of_memory: bool = False
    seconds: float = 0.0
    peak_memory_bytes: int = 0


class Sandbox(Protocol):
    """Runs python graders, and the model's code, away from the service and from each other."""

    def run(self, source: str, calls: Sequence[tuple[Json, Json]]) -> list[SandboxReply]:
        """`grade(sample, item)` of `source` on each pair, in order. Raises `SandboxUnavailable` where nothing could be run."""

    def execute(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """Run each program by itself, in order of the results. Raises `SandboxUnavailable` where nothing could be run."""

    def check(self) -> None:
        """Raises `SandboxUnavailable` where this host isolates less than the service asks for."""

    def close(self) -> None:
        """End the connection."""
