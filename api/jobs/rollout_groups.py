"""A step's rollouts by their prompts: what each group came to, without the texts of its members."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from api.jobs.regrade_report import excerpt
from core.jobs.types import BatchRecord
from core.storage.base import ObjectKey, ObjectStore

Json = dict[str, Any]

_COLUMNS = ("example", "prompt", "reward", "error_kind", "tokens")


def read_groups(objects: ObjectStore, batches: Sequence[BatchRecord]) -> Iterator[Json]:
    """The groups of these batches in the order they were sampled."""
    for batch in batches:
        for example, members in groupby(_rows(objects, batch), key=lambda row: row["example"]):
            yield _group_object(batch, example, list(members))


def _rows(objects: ObjectStore, batch: BatchRecord) -> list[Json]:
    with objects.open(ObjectKey.parse(batch.object_key)) as source:
        table = pq.ParquetFile(source).read(columns=list(_COLUMNS))
    lengths = pc.list_value_length(table.column("tokens"))
    rows: list[Json] = table.drop_columns(["tokens"]).append_column("length", lengths).to_pylist()
    return rows


def _group_object(batch: BatchRecord, example: int, members: Sequence[Json]) -> Json:
    rewards = [row["reward"] for row in members if row["reward"] is not None and math.isfinite(row["reward"])]
    return {
        "id": f"{batch.split}-{batch.step}-{batch.index}-{example}",
        "object": "fine_tuning.job.rollout_group",
        "split": batch.split,
        "step": batch.step,
        "example": example,
        "prompt": excerpt(members[0]["prompt"]),
        "samples": len(members),
        "errors": sum(row["error_kind"] is not None for row in members),
        "reward_mean": math.fsum(reward / len(rewards) for reward in rewards) if rewards else None,
        "reward_min": min(rewards, default=None),
        "reward_max": max(rewards, default=None),
        "completion_tokens_mean": sum(row["length"] for row in members) / len(members),
    }
