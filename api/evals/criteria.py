"""What counts as a pass: the graders of a job as an eval's testing criteria."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from core.jobs.secrets import masked
from core.jobs.types import Job

Json = dict[str, Any]

DEFAULT_THRESHOLD = 0.5
"""The pass threshold of a grader that has none and no range: the middle of scores from 0 to 1."""


@dataclass(frozen=True)
class Criterion:
    """A grader and the score from which on it passes."""

    key: str | None
    """Of a member of a `multi` grader; None for the job's grader as a whole."""
    name: str
    """The grader's name and a uuid, the same in the eval, its runs and their items."""
    type: str
    threshold: float


def overall(job: Job) -> Criterion:
    """The job's grader as a whole: an output item passes where it does."""
    return _criterion(job, None, job.reinforcement["grader"])


def criteria(job: Job) -> tuple[Criterion, ...]:
    """The eval's testing criteria: the members of a `multi` grader, any other grader itself."""
    return tuple(_criterion(job, key, grader) for key, grader in _graders(job).items())


def testing_criteria(job: Job) -> list[Json]:
    """The criteria as an eval shows them: the graders' configurations, with their thresholds and without secrets."""
    return [{**masked(grader), "pass_threshold": pass_threshold(grader)} for grader in _graders(job).values()]


def pass_threshold(grader: Json) -> float:
    """The grader's own, or the middle of its range of scores."""
    own = grader.get("pass_threshold")
    if own is not None:
        return float(own)
    low, high = grader.get("range") or (2 * DEFAULT_THRESHOLD, 0.0)
    return (float(low) + float(high)) / 2


def _graders(job: Job) -> dict[str | None, Json]:
    grader: Json = job.reinforcement["grader"]
    return dict(grader["graders"]) if grader["type"] == "multi" else {None: grader}


def _criterion(job: Job, key: str | None, grader: Json) -> Criterion:
    unique = uuid.uuid5(uuid.NAMESPACE_OID, f"{job.id}/{key or ''}")
    return Criterion(key, f"{grader['name']}-{unique}", grader["type"], pass_threshold(grader))
