"""The kept validation rollouts of a run, as results: read batch by batch, of which each holds a few dozen rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow.parquet as pq

from api.evals.criteria import Criterion
from core.jobs.types import BatchRecord
from core.storage.base import ObjectKey, ObjectStore

Json = dict[str, Any]

_COUNTED = ("reward", "parts", "prompt_tokens", "tokens")
_SHOWN = ("example", "sample", "prompt", "completion", "stop_reason", "seed", "error_kind", "error_details", *_COUNTED)
_BATCHES_REMEMBERED = 4096


@dataclass(frozen=True)
class Result:
    """What one grader said of one rollout: a score, or an error in its place."""

    criterion: Criterion
    score: float | None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the score reaches the threshold; an error passes nothing."""
        return self.score is not None and self.score >= self.criterion.threshold


@dataclass(frozen=True)
class Counts:
    """How the rollouts of some batches came out. `passed` and `failed` by criterion stand in the criteria's order."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0
    criteria: tuple[tuple[int, int], ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


def counts(objects: ObjectStore, batches: Sequence[BatchRecord], overall: Criterion, criteria: tuple[Criterion, ...]) -> Counts:
    """The outcome of some batches together. What a batch comes to is remembered: its object never changes."""
    each = [_counts_of(objects, batch.object_key, overall, criteria) for batch in batches]  # type: ignore[arg-type]
    by_criterion = zip(*(one.criteria for one in each), strict=True) if each else ((),) * len(criteria)
    return Counts(
        total=sum(one.total for one in each),
        passed=sum(one.passed for one in each),
        failed=sum(one.failed for one in each),
        errored=sum(one.errored for one in each),
        criteria=tuple((sum(p for p, _ in pairs), sum(f for _, f in pairs)) for pairs in by_criterion),
        prompt_tokens=sum(one.prompt_tokens for one in each),
        completion_tokens=sum(one.completion_tokens for one in each),
    )


def rows(objects: ObjectStore, batch: BatchRecord) -> list[Json]:
    """The rollouts of one batch, in the order they were sampled."""
    return _rows(objects, batch.object_key, _SHOWN)


def result_of(row: Json, criterion: Criterion) -> Result:
    """What the criterion's grader said of a rollout."""
    if criterion.key is None:
        return Result(criterion, row["reward"], row.get("error_details") or row.get("error_kind"))
    part = json.loads(row["parts"] or "{}").get(criterion.key) or {}
    return Result(criterion, part.get("reward"), part.get("details") or part.get("error"))


@lru_cache(maxsize=_BATCHES_REMEMBERED)
def _counts_of(objects: ObjectStore, object_key: str, overall: Criterion, criteria: tuple[Criterion, ...]) -> Counts:
    found = _rows(objects, object_key, _COUNTED)
    outcomes = [result_of(row, overall) for row in found]
    errored = sum(outcome.score is None for outcome in outcomes)
    passed = sum(outcome.passed for outcome in outcomes)
    return Counts(
        total=len(found),
        passed=passed,
        failed=len(found) - passed - errored,
        errored=errored,
        criteria=tuple(_passed_and_failed(found, criterion) for criterion in criteria),
        prompt_tokens=sum(row["prompt_tokens"] for row in found),
        completion_tokens=sum(len(row["tokens"]) for row in found),
    )


def _passed_and_failed(found: Sequence[Json], criterion: Criterion) -> tuple[int, int]:
    """An error counts as failed here: OpenAI's figures by criterion know no third outcome."""
    passed = sum(result_of(row, criterion).passed for row in found)
    return passed, len(found) - passed


def _rows(objects: ObjectStore, object_key: str, columns: Sequence[str]) -> list[Json]:
    with objects.open(ObjectKey.parse(object_key)) as source:
        found: list[Json] = pq.ParquetFile(source).read(columns=list(columns)).to_pylist()
    return found
