"""Configuration of `score_model`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from graders.judges.base import Json
from graders.specs.judge import JudgeSpec, invalid


class SamplingParams(BaseModel):
    """How the judge draws its answer. OpenAI spells the limit of tokens `max_completions_tokens`; both spellings are taken."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    seed: int | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_completions_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None

    def as_sent(self) -> Json:
        """The parameters that are set, as chat completions name them."""
        values = {
            "seed": self.seed,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_completion_tokens": self.max_completions_tokens or self.max_completion_tokens,
            "reasoning_effort": self.reasoning_effort,
        }
        return {name: value for name, value in values.items() if value is not None}


class ScoreModel(JudgeSpec):
    """A judge's number, held to `range`."""

    type: Literal["score_model"]
    range: list[float] | None = Field(default=None, min_length=2, max_length=2)
    sampling_params: SamplingParams | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score."""
        low, high = self.range or (0.0, 1.0)
        return low, high

    def check(self, param: str) -> None:
        """The range must have some width."""
        super().check(param)
        low, high = self.bounds
        if low >= high:
            raise invalid(f"{param}.range", "the first number must be below the second")
