"""The kept rollouts of a job, found, sorted and read page by page from the Parquet objects of its sampling batches."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import InvalidRequest
from core.jobs.types import BatchRecord, Page
from core.storage.base import ObjectKey, ObjectStore

Json = dict[str, Any]
Order = Literal["sampled", "reward", "-reward", "advantage", "-advantage", "length", "-length"]

_WITHOUT_TOKENS = [
    *("step", "split", "batch", "example", "sample", "prompt", "completion", "prompt_tokens", "stop_reason", "seed"),
    *("reward", "error_kind", "error_details", "parts", "grade_seconds", "usage", "advantage"),
    "tokens",  # for their number
]


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


@dataclass(frozen=True)
class RolloutQuery:
    """Which rollouts are wanted, and in what order."""

    example: int | None = None
    """Of this row of the data file alone."""
    error: str | None = None
    """`any` or a kind of failure: those that it befell; `none`: those with a grade."""
    contains: str | None = None
    """A text in the prompt or the completion, whatever its case."""
    order: Order = "sampled"
    """`-` puts the largest first. Those without a value come last, equals as they were sampled."""


@dataclass(frozen=True)
class _Place:
    """A rollout that is wanted: where it lies, and by what it is sorted."""

    batch: BatchRecord
    row: int
    id: RolloutId
    value: float | None


def read_page(
    objects: ObjectStore,
    batches: Sequence[BatchRecord],
    query: RolloutQuery,
    *,
    after: RolloutId | None,
    limit: int,
    with_tokens: bool,
) -> Page[Json]:
    """At most `limit` of the wanted rollouts in the order asked for, after the one with the id `after`.

    In the order of sampling no batch before `after`, and none behind the page's end, is opened.
    """
    if query.order == "sampled":
        batches = batches if after is None else _from_batch(batches, after)
        places: Iterator[_Place] = (place for batch in batches for place in _scan(objects, batch, query))
    else:
        places = iter(_sorted([place for batch in batches for place in _scan(objects, batch, query)], query.order))
    if after is not None and after not in (place.id for place in places):
        raise _unknown(str(after))
    found = list(islice(places, limit + 1))
    return Page(tuple(_read(objects, found[:limit], with_tokens=with_tokens)), has_more=len(found) > limit)


def _sorted(places: list[_Place], order: Order) -> list[_Place]:
    sign = -1.0 if order.startswith("-") else 1.0
    return sorted(places, key=lambda place: (place.value is None, sign * (place.value or 0.0)))


def _from_batch(batches: Sequence[BatchRecord], after: RolloutId) -> Sequence[BatchRecord]:
    for position, batch in enumerate(batches):
        if (batch.split, batch.step, batch.index) == (after.split, after.step, after.batch):
            return batches[position:]
    raise _unknown(str(after))


def _unknown(rollout_id: str) -> InvalidRequest:
    message = f"Invalid value for 'after': there is no rollout '{rollout_id}' among those asked for."
    return InvalidRequest(message, param="after", code="invalid_value")


def _scan(objects: ObjectStore, batch: BatchRecord, query: RolloutQuery) -> Iterator[_Place]:
    """The wanted rollouts of one batch, in the order they were sampled; reads the columns that tell, and no others."""
    column = {"length": "tokens"}.get(query.order.lstrip("-"), query.order.lstrip("-"))
    needed = {
        "example": True,
        "sample": True,
        "error_kind": query.error is not None,
        "prompt": query.contains is not None,
        "completion": query.contains is not None,
        column: query.order != "sampled",
    }
    table = _table(objects, batch, [name for name, wanted in needed.items() if wanted])
    mask = _mask(table, query)
    values = [None] * len(table) if query.order == "sampled" else _values(table.column(column))
    members = zip(mask, table.column("example").to_pylist(), table.column("sample").to_pylist(), values, strict=True)
    for row, (wanted, example, sample, value) in enumerate(members):
        if wanted:
            yield _Place(batch, row, RolloutId(batch.split, batch.step, batch.index, example, sample), value)


def _mask(table: pa.Table, query: RolloutQuery) -> list[bool]:
    mask = pa.array([True] * len(table))
    if query.example is not None:
        mask = pc.and_(mask, pc.equal(table.column("example"), query.example))
    if query.error in ("any", "none"):
        mask = pc.and_(mask, pc.equal(pc.is_valid(table.column("error_kind")), query.error == "any"))
    elif query.error is not None:
        mask = pc.and_(mask, pc.fill_null(pc.equal(table.column("error_kind"), query.error), fill_value=False))
    if query.contains is not None:
        texts = (table.column("prompt"), table.column("completion"))
        prompt, completion = (pc.match_substring(text, query.contains, ignore_case=True) for text in texts)
        mask = pc.and_(mask, pc.or_(prompt, completion))
    wanted: list[bool] = mask.to_pylist()
    return wanted


def _values(column: pa.ChunkedArray) -> list[float | None]:
    numbers = pc.list_value_length(column) if pa.types.is_list(column.type) else column
    return [None if number is None or not math.isfinite(number) else number for number in numbers.to_pylist()]


def _read(objects: ObjectStore, places: Sequence[_Place], *, with_tokens: bool) -> list[Json]:
    """The rollouts at these places; each batch's object is opened once."""
    by_batch: dict[BatchRecord, list[int]] = {}
    for place in places:
        by_batch.setdefault(place.batch, []).append(place.row)
    found: dict[RolloutId, Json] = {}
    for batch, rows in by_batch.items():
        table = _table(objects, batch, None if with_tokens else _WITHOUT_TOKENS).take(rows)
        lengths = pc.list_value_length(table.column("tokens")).to_pylist()
        if not with_tokens:
            table = table.drop_columns(["tokens"])
        for row, length in zip(table.to_pylist(), lengths, strict=True):
            rollout_id = RolloutId(batch.split, batch.step, batch.index, row["example"], row["sample"])
            found[rollout_id] = _rollout_object(rollout_id, row, length)
    return [found[place.id] for place in places]


def _table(objects: ObjectStore, batch: BatchRecord, columns: list[str] | None) -> pa.Table:
    with objects.open(ObjectKey.parse(batch.object_key)) as source:
        return pq.ParquetFile(source).read(columns=columns)


def _rollout_object(rollout_id: RolloutId, row: Json, completion_tokens: int) -> Json:
    lengths = row.pop("token_chars", None)
    finite = {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
    texts = {"token_texts": _cut(row["completion"], lengths)} if "tokens" in row else {}
    return {
        "id": str(rollout_id),
        "object": "fine_tuning.job.rollout",
        **finite,
        **texts,
        "completion_tokens": completion_tokens,
        "parts": json.loads(row["parts"] or "{}"),
        "usage": json.loads(row["usage"] or "{}"),
    }


def _cut(text: str, lengths: Sequence[int] | None) -> list[str] | None:
    """The text in pieces of these lengths; None where the rollout was kept without them."""
    if lengths is None:
        return None
    ends = list(accumulate(lengths))
    return [text[end - length : end] for end, length in zip(ends, lengths, strict=True)]
