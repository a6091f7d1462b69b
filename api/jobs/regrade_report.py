"""What a regrading answers: its progress, and how rewards and ranks have moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.jobs.rollouts import RolloutId
from core.jobs.secrets import masked
from graders.base import Grade, GradeError, TokenUsage
from graders.regrade import Regraded, Side, compare
from graders.report import token_counts
from graders.spec import normalised
from graders.specs.base import GraderSpec

Json = dict[str, Any]

MAX_SHOWN = 100
_EXCERPT = 400
"""Characters of a text that a report shows."""


@dataclass(frozen=True)
class Rescored:
    """A rollout with both its grades."""

    id: RolloutId
    prompt: str
    completion: str
    pair: Regraded
    after: Grade | GradeError


def progress_object(graded: int, total: int) -> Json:
    """How far a regrading is."""
    return {"object": "fine_tuning.job.regrade.progress", "graded": graded, "total": total}


def report_object(
    job_id: str,
    spec: GraderSpec,
    split: str,
    steps: Sequence[int],
    compared: Sequence[Regraded],
    changed: Sequence[Rescored],
    failed: Sequence[Rescored],
    usage: Mapping[str, TokenUsage],
) -> Json:
    """The whole comparison, with the samples that changed most and the first ones that failed."""
    found = compare(compared)
    return {
        "object": "fine_tuning.job.regrade",
        "fine_tuning_job_id": job_id,
        "grader": masked(normalised(spec)),
        "split": split,
        "steps": list(steps),
        "samples": found.samples,
        "groups": found.groups,
        "before": _side(found.before),
        "after": _side(found.after),
        "same_reward": found.same_reward,
        "same_order": found.same_order,
        "kendall_tau": found.kendall_tau,
        "ranked_groups": found.ranked_groups,
        "changed": [_sample(rescored) for rescored in changed],
        "failed": [_sample(rescored) for rescored in failed],
        "model_grader_token_usage_per_model": {model: token_counts(tokens) for model, tokens in usage.items()},
    }


def _side(side: Side) -> Json:
    return {
        "graded": side.graded,
        "reward_mean": side.mean,
        "groups_with_spread": side.groups_with_spread,
        "errors": {f"{kind.value}_error": count for kind, count in side.failures.items()},
    }


def _sample(rescored: Rescored) -> Json:
    failure = rescored.after if isinstance(rescored.after, GradeError) else None
    return {
        "id": str(rescored.id),
        "step": rescored.id.step,
        "example": rescored.id.example,
        "sample": rescored.id.sample,
        "prompt": excerpt(rescored.prompt),
        "completion": excerpt(rescored.completion),
        "reward_before": rescored.pair.before,
        "reward_after": rescored.pair.after,
        "error": None if failure is None else {"kind": f"{failure.kind.value}_error", "details": excerpt(failure.details)},
    }


def excerpt(text: str) -> str:
    """The beginning and the end of a text that is too long to show."""
    half = _EXCERPT // 2
    return text if len(text) <= _EXCERPT else f"{text[:half]} ... {text[-half:]}"
