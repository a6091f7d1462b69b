"""The result file of a job: one row a step, nested metrics flattened with slashes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

Json = dict[str, Any]

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
"""Columns that come first, in OpenAI's order; everything else of the metrics follows."""


def results_csv(steps: Sequence[Json]) -> bytes:
    """Metrics of committed steps as CSV; a cell is blank where a step has no such value."""
    rows = [{**_losses(metrics), **dict(_flat(metrics))} for metrics in steps]
    names = list(dict.fromkeys([*LEADING, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _losses(metrics: Json) -> Json:
    update = metrics["touchstone"]["update"] or {}
    return {
        "pg_loss_sum": update.get("policy_loss"),
        "total_loss_sum": update.get("loss"),
        "entropy_loss_sum": update.get("entropy"),
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}/{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}/{index}")
    else:
        yield path, value
