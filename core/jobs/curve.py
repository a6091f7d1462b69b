"""The reward curve as a table: one row a step. It is a job's result file, and the CSV form of its metrics."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from core.jobs.types import Json

LEADING = (
    "step",
    "train_mean_reward",
    "full_valid_mean_reward",
    "completion_tokens_mean",
    "reasoning_tokens_mean",
    "mean_unresponsive_rewards",
    "pg_loss_sum",
    "total_loss_sum",
    "entropy_loss_sum",
)
"""Columns that come first, in the order of OpenAI's result files; everything else of the metrics follows."""


def curve_csv(steps: Sequence[Json]) -> str:
    """Metrics of committed steps; nested ones have their path as column name (`scores/graders/0/train_reward_mean`).

    A cell is blank where a step has no such value, or none that is finite.
    """
    rows = [{**_losses(metrics), **dict(_flat(metrics, ()))} for metrics in steps]
    columns = list(dict.fromkeys([*LEADING, *(name for row in rows for name in row)]))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _losses(metrics: Json) -> Json:
    update = (metrics.get("touchstone") or {}).get("update") or {}
    names = {"pg_loss_sum": "policy_loss", "total_loss_sum": "loss", "entropy_loss_sum": "entropy"}
    return {column: update.get(name, "") for column, name in names.items()}


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _flat(member, (*path, str(name)))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _flat(member, (*path, str(index)))
    else:
        is_blank = value is None or (isinstance(value, float) and not math.isfinite(value))
        yield "/".join(path), "" if is_blank else value
