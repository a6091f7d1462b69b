"""Rollouts as a test needs them."""

from __future__ import annotations

from typing import Any

from graders.base import Grade, GradeError
from worker.rollout.base import Completion, StopReason
from worker.rollouts import Rollout


def rollout(result: Grade | GradeError | float, *, example: int = 0, sample: int = 0, **changes: Any) -> Rollout:
    """A completion of three tokens with this result, or with a grade of this score."""
    values: dict[str, Any] = {
        "example": example,
        "sample": sample,
        "seed": 2**64 - 1 - sample,
        "prompt": "<|im_start|>user\nHé\x00\u2028",
        "prompt_tokens": 7,
        "text": "a \U0001f600 b",
        "completion": Completion((1, 2, 299), (-0.1, -2.5, 0.0), StopReason.STOP),
        "result": result if isinstance(result, Grade | GradeError) else Grade(result, 0.25),
        "advantage": 0.5,
    }
    return Rollout(**{**values, **changes})
