"""Configuration of `label_model`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graders.specs.judge import JudgeSpec, invalid

MAX_LABELS = 256


class LabelModel(JudgeSpec):
    """A judge's choice of a label: 1.0 where it is one of `passing_labels`, else 0.0. Only ever a member of a multi grader."""

    type: Literal["label_model"]
    labels: list[str] = Field(min_length=1, max_length=MAX_LABELS)
    passing_labels: list[str] = Field(min_length=1, max_length=MAX_LABELS)

    def check(self, param: str) -> None:
        """Passing labels must be labels, and no label may be listed twice."""
        super().check(param)
        if len(set(self.labels)) < len(self.labels):
            raise invalid(f"{param}.labels", "a label is listed twice")
        unknown = [label for label in self.passing_labels if label not in self.labels]
        if unknown:
            raise invalid(f"{param}.passing_labels", f"'{unknown[0]}' is not one of 'labels'")
