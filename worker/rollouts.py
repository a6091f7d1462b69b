"""Graded rollouts: what a sampling batch consists of, and its Parquet file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from graders.base import FailureKind, Grade, GradeError, TokenUsage, Usage
from graders.report import token_counts
from worker.rollout.base import Completion, StopReason

Result = Grade | GradeError

SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("split", pa.string()),
        ("batch", pa.int32()),
        ("example", pa.int32()),
        ("sample", pa.int32()),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("tokens", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("token_chars", pa.list_(pa.int32())),
        ("stop_reason", pa.string()),
        ("seed", pa.uint64()),
        ("reward", pa.float64()),
        ("error_kind", pa.string()),
        ("error_details", pa.string()),
        ("parts", pa.string()),
        ("grade_seconds", pa.float64()),
        ("usage", pa.string()),
        ("advantage", pa.float64()),
        ("policy_version", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Rollout:
    """One graded completion. `example` is the row of the file, `sample` the member of its group."""

    example: int
    sample: int
    seed: int
    prompt: str
    prompt_tokens: int
    text: str
    completion: Completion
    result: Result
    advantage: float | None
    token_chars_T: tuple[int, ...] | None = None
    """How many characters of the text each token wrote; None where that was not kept."""

    @property
    def reward(self) -> float | None:
        """The score, None where grading failed."""
        return self.result.score if isinstance(self.result, Grade) else None


@dataclass(frozen=True)
class Batch:
    """A sampling batch: whole groups, in order."""

    split: str
    step: int
    index: int
    rollouts: tuple[Rollout, ...]
    policy_version: int | None = None
    """Updates in the weights that sampled it; None where that was not kept."""

    def groups(self) -> Iterator[tuple[int, list[Rollout]]]:
        """(example, its rollouts) in the order they were sampled."""
        for example, members in groupby(self.rollouts, key=lambda rollout: rollout.example):
            yield example, list(members)


def write(batch: Batch) -> bytes:
    """The batch as a Parquet file."""
    columns = {name: [] for name in SCHEMA.names}  # type: dict[str, list[Any]]
    own = {"step": batch.step, "split": batch.split, "batch": batch.index, "policy_version": batch.policy_version}
    for rollout in batch.rollouts:
        for name, value in {**own, **_row(rollout)}.items():
            columns[name].append(value)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=SCHEMA), sink, compression="zstd")
    return sink.getvalue()


def read(stream: BinaryIO) -> Batch:
    """The inverse of `write`."""
    rows = pq.read_table(stream, schema=SCHEMA).to_pylist()
    first = rows[0]
    rollouts = tuple(_rollout(row) for row in rows)
    return Batch(first["split"], first["step"], first["batch"], rollouts, first["policy_version"])


def _row(rollout: Rollout) -> dict[str, Any]:
    result, completion = rollout.result, rollout.completion
    return {
        "example": rollout.example,
        "sample": rollout.sample,
        "prompt": rollout.prompt,
        "completion": rollout.text,
        "prompt_tokens": rollout.prompt_tokens,
        "tokens": completion.tokens_T,
        "logprobs": completion.logprobs_T,
        "token_chars": rollout.token_chars_T,
        "stop_reason": completion.stop_reason.value,
        "seed": rollout.seed,
        "reward": rollout.reward,
        "error_kind": result.kind.value if isinstance(result, GradeError) else None,
        "error_details": result.details or None,
        "parts": json.dumps({key: _part_to_json(part) for key, part in result.parts.items()}),
        "grade_seconds": result.seconds,
        "usage": json.dumps(_usage_to_json(result.usage)),
        "advantage": rollout.advantage,
    }


def _rollout(row: dict[str, Any]) -> Rollout:
    parts = {key: _part_from_json(part) for key, part in json.loads(row["parts"]).items()}
    result = _result(
        row["reward"], row["error_kind"], row["error_details"], row["grade_seconds"], parts, json.loads(row["usage"])
    )
    completion = Completion(tuple(row["tokens"]), tuple(row["logprobs"]), StopReason(row["stop_reason"]))
    chars = None if row["token_chars"] is None else tuple(row["token_chars"])
    kept = ("example", "sample", "seed", "prompt", "prompt_tokens", "advantage")
    values = {name: row[name] for name in kept}
    return Rollout(text=row["completion"], completion=completion, result=result, token_chars_T=chars, **values)


def _part_to_json(part: Result) -> dict[str, Any]:
    costs = {"seconds": part.seconds, **({"usage": _usage_to_json(part.usage)} if part.usage else {})}
    if isinstance(part, Grade):
        return {"reward": part.score, **({"details": part.details} if part.details else {}), **costs}
    return {"error": part.kind.value, "details": part.details, **costs}


def _part_from_json(part: dict[str, Any]) -> Result:
    return _result(part.get("reward"), part.get("error"), part.get("details"), part["seconds"], {}, part.get("usage", {}))


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    return {model: token_counts(tokens) for model, tokens in usage.items()}


def _usage_from_json(usage: dict[str, Any]) -> Usage:
    kinds = ("prompt_tokens", "completion_tokens", "cached_tokens")
    return {model: TokenUsage(*(counts[kind] for kind in kinds)) for model, counts in usage.items()}


def _result(
    reward: float | None,
    kind: str | None,
    details: str | None,
    seconds: float,
    parts: dict[str, Result],
    usage: dict[str, Any],
) -> Result:
    if kind is None and reward is not None:
        return Grade(reward, seconds, parts, _usage_from_json(usage), details or "")
    return GradeError(FailureKind(kind or FailureKind.OTHER), details or "", seconds, parts, _usage_from_json(usage))


def samples(batches: Sequence[Batch]) -> list[Rollout]:
    """All rollouts of some batches, in order."""
    return [rollout for batch in batches for rollout in batch.rollouts]
