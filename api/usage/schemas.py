"""Wire shapes of usage: pages of buckets, as `client.admin.organization.usage` of OpenAI's client has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from core.usage import UsageKind, Used

Json = dict[str, Any]

Width = Literal["1h", "1d"]
GroupBy = Literal["project_id", "model"]

SECONDS: dict[Width, int] = {"1h": 3600, "1d": 86_400}
DEFAULT_LIMITS: dict[Width, int] = {"1h": 24, "1d": 7}
MAX_LIMITS: dict[Width, int] = {"1h": 168, "1d": 31}

FIELDS = {
    UsageKind.DEVICE_SECONDS: "device_seconds",
    UsageKind.STEPS: "num_steps",
    UsageKind.PROMPT_TOKENS: "input_tokens",
    UsageKind.SAMPLED_TOKENS: "output_tokens",
    UsageKind.TRAINED_TOKENS: "trained_tokens",
    UsageKind.JUDGE_PROMPT_TOKENS: "judge_input_tokens",
    UsageKind.JUDGE_CACHED_TOKENS: "judge_input_cached_tokens",
    UsageKind.JUDGE_COMPLETION_TOKENS: "judge_output_tokens",
}
"""The field of a result that holds each kind."""


def bucket_object(start: int, width: int, used: Iterable[Used]) -> Json:
    """What was used within one bucket, a result for each project and model that are kept apart."""
    results: dict[tuple[str | None, str | None], Json] = {}
    for one in used:
        result = results.setdefault((one.project_id, one.model), _empty(one))
        result[FIELDS[one.kind]] = one.amount if one.kind is UsageKind.DEVICE_SECONDS else round(one.amount)
    return {"object": "bucket", "start_time": start, "end_time": start + width, "results": list(results.values())}


def page_object(buckets: Sequence[Json], next_page: str | None) -> Json:
    """A page of buckets, oldest first."""
    return {"object": "page", "data": list(buckets), "has_more": next_page is not None, "next_page": next_page}


def _empty(one: Used) -> Json:
    amounts = {field: 0.0 if kind is UsageKind.DEVICE_SECONDS else 0 for kind, field in FIELDS.items()}
    named = {"project_id": one.project_id, "model": one.model}
    return {"object": "organization.usage.fine_tuning.result", **amounts, **named}
