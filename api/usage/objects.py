"""What replies about usage hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Reply


class UsageResult(Reply):
    """What jobs used; `project_id` and `model` are null where all are added up. Judges' tokens stand under the judge's name."""

    object: Literal["organization.usage.fine_tuning.result"]
    device_seconds: float
    num_steps: int
    input_tokens: int
    output_tokens: int
    trained_tokens: int
    judge_input_tokens: int
    judge_input_cached_tokens: int
    judge_output_tokens: int
    project_id: str | None
    model: str | None


class UsageBucket(Reply):
    """What was used within a span of time."""

    object: Literal["bucket"]
    start_time: int
    end_time: int
    results: list[UsageResult]


class UsagePage(Reply):
    """Buckets in order of time; those without usage have no results."""

    object: Literal["page"]
    data: list[UsageBucket]
    has_more: bool
    next_page: str | None
