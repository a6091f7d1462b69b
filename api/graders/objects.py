"""What replies about graders hold, for the OpenAPI document."""

from __future__ import annotations

from api.objects import Json, OpenReply, Reply


class GraderConfiguration(OpenReply):
    """A grader's configuration."""

    type: str
    name: str


class ValidatedGrader(Reply):
    """A configuration that is as it should be, every name filled in."""

    grader: GraderConfiguration


class GradeMetadata(OpenReply):
    """How a grade came about."""

    name: str
    type: str
    errors: dict[str, bool | str | None]
    execution_time: float
    scores: Json
    token_usage: int | None
    sampled_model_name: str | None


class GradeObject(Reply):
    """One sample's grade, as `run_response` builds it."""

    reward: float
    metadata: GradeMetadata
    sub_rewards: dict[str, float | None]
    model_grader_token_usage_per_model: dict[str, dict[str, int]]
