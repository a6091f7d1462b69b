"""Wire shapes of trying out graders."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]


class ValidateGrader(BaseModel):
    """The body of a validate call."""

    model_config = ConfigDict(extra="allow")

    grader: Json


class RunGrader(BaseModel):
    """The body of a run call."""

    model_config = ConfigDict(extra="allow")

    grader: Json
    model_sample: str
    item: Json | None = None
