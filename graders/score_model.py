"""`score_model`: a judge's number."""

from __future__ import annotations

import math
from typing import Any

from graders.judges.grader import JudgeGrader, Verdict
from graders.judges.judge import Judge
from graders.specs.score_model import ScoreModel


def score_model(spec: ScoreModel, judge: Judge, *, allow_private: bool) -> JudgeGrader:
    """Asks for a number and holds it to the range. `allow_private` lets images lie at private addresses."""
    low, high = spec.bounds

    def score(result: Any) -> float | None:
        number = _number(result)
        return None if number is None else min(max(number, low), high)

    schema = {"type": "number", "description": f"The score: a number from {low:g} to {high:g}, both included."}
    kind = Verdict("float_score_classification", schema, "a number as the result", score)
    sampling = spec.sampling_params.as_sent() if spec.sampling_params else {}
    return JudgeGrader(spec, judge, kind, sampling=sampling, allow_private=allow_private)


def _number(value: Any) -> float | None:
    """The finite number that a result is; None for anything else, `true` and digits in quotes included."""
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
