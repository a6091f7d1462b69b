"""The reward curve: a job's metrics by step, as JSON or as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from core.jobs.types import Job

Json = dict[str, Any]


def curve_tag(job: Job, *, after_step: int, form: str) -> str:
    """The ETag of a curve, from the job's row alone. A committed step moves `step`, `attempts` or `train_seconds`."""
    return f'"{job.id}.{job.status}.{job.step}.{job.attempts}.{job.train_seconds:.3f}.{after_step}.{form}"'


def matches(header: str | None, tag: str) -> bool:
    """Whether an `if-none-match` header names the tag (weakly, as HTTP compares for GET)."""
    if header is None:
        return False
    return any(item.strip().removeprefix("W/") in (tag, "*") for item in header.split(","))


def curve_csv(steps: Sequence[Json]) -> str:
    """One row a step; nested metrics have their path as column name (`scores/graders/0/train_reward_mean`)."""
    rows = [dict(_flat(step, ())) for step in steps]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["step"]
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


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
