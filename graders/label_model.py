"""`label_model`: a judge's choice among labels."""

from __future__ import annotations

from typing import Any

from graders.judges.grader import JudgeGrader, Verdict
from graders.judges.judge import Judge
from graders.specs.label_model import LabelModel


def label_model(spec: LabelModel, judge: Judge, *, allow_private: bool) -> JudgeGrader:
    """1.0 for a passing label, 0.0 for any other. `allow_private` lets images lie at private addresses."""

    def score(result: Any) -> float | None:
        return float(result in spec.passing_labels) if result in spec.labels else None

    schema = {"type": "string", "enum": list(spec.labels), "description": "The label that fits."}
    return JudgeGrader(
        spec, judge, Verdict("label_classification", schema, "one of the labels", score), allow_private=allow_private
    )
