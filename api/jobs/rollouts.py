"""The kept rollouts of a step, read page by page from the Parquet objects of its sampling batches."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from core.errors import InvalidRequest
from core.jobs.types import BatchRecord, Page
from core.storage.base import ObjectKey, ObjectStore

Json = dict[str, Any]

TOKEN_COLUMNS = ("tokens", "logprobs")
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class RolloutId:
    """Which rollout of a job: `<split>-<step>-<batch>-<example>-<sample>` on the wire."""

    split: str
    step: int
    batch: int
    example: int
    sample: int

    def __str__(self) -> str:
        return f"{self.split}-{self.step}-{self.batch}-{self.example}-{self.sample}"

    @classmethod
    def parse(cls, text: str) -> RolloutId:
        """The inverse of `str`; raises `InvalidRequest` naming the parameter `after`."""
        split, *numbers = text.split("-")
        if len(numbers) != 4 or not all(number.isdecimal() and len(number) < 12 for number in numbers):
            raise InvalidRequest(
                f"Invalid value for 'after': '{text}' is no id of a rollout.", param="after", code="invalid_value"
            )
        step, batch, example, sample = map(int, numbers)
        return cls(split, step, batch, example, sample)


def read_page(
    objects: ObjectStore, batches: Sequence[BatchRecord], *, after: RolloutId | None, limit: int, with_tokens: bool
) -> Page[Json]:
    """At most `limit` rollouts in the order they were sampled, after the one with the id `after`."""
    if after is not None:
        batches = _from_batch(batches, after)
    rows = (row for batch in batches for row in _read(objects, batch, with_tokens=with_tokens))
    if after is not None:
        _skip_past(rows, str(after))
    page: list[Json] = []
    for row in rows:
        if len(page) == limit:
            return Page(tuple(page), has_more=True)
        page.append(row)
    return Page(tuple(page), has_more=False)


def _from_batch(batches: Sequence[BatchRecord], after: RolloutId) -> Sequence[BatchRecord]:
    for position, batch in enumerate(batches):
        if (batch.split, batch.step, batch.index) == (after.split, after.step, after.batch):
            return batches[position:]
    raise _unknown(str(after))


def _skip_past(rows: Iterator[Json], rollout_id: str) -> None:
    for row in rows:
        if row["id"] == rollout_id:
            return
    raise _unknown(rollout_id)


def _unknown(rollout_id: str) -> InvalidRequest:
    message = f"Invalid value for 'after': there is no rollout '{rollout_id}' among those asked for."
    return InvalidRequest(message, param="after", code="invalid_value")


def _read(objects: ObjectStore, batch: BatchRecord, *, with_tokens: bool) -> Iterator[Json]:
    with objects.open(ObjectKey.parse(batch.object_key)) as source:
        table = pq.ParquetFile(source)
        columns = [name for name in table.schema_arrow.names if with_tokens or name not in TOKEN_COLUMNS]
        for record_batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns):
            for row in record_batch.to_pylist():
                yield _rollout_object(row)


def _rollout_object(row: Json) -> Json:
    rollout_id = RolloutId(row["split"], row["step"], row["batch"], row["example"], row["sample"])
    finite = {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
    return {
        "id": str(rollout_id),
        "object": "fine_tuning.job.rollout",
        **finite,
        "parts": json.loads(row["parts"] or "{}"),
        "usage": json.loads(row["usage"] or "{}"),
    }
