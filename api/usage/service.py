"""The rules of asking for usage: whole buckets in UTC, so many a page."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.context import Context
from api.usage.schemas import DEFAULT_LIMITS, MAX_LIMITS, SECONDS, Width, bucket_object, page_object
from core.errors import InvalidRequest
from core.usage import HOUR, UsageStore, Used

Json = dict[str, Any]

_CURSOR = "page_"


@dataclass(frozen=True)
class Asked:
    """A question for usage. Without `project_ids` or `models`: of all."""

    start_time: int
    end_time: int | None
    bucket_width: Width
    limit: int | None
    page: str | None
    by_project: bool
    by_model: bool
    project_ids: Sequence[str] | None
    models: Sequence[str] | None


def usage_page(context: Context, asked: Asked) -> Json:
    """One page of buckets. Raises `InvalidRequest` for a wrong limit or cursor, or a span that ends before it begins."""
    width, limit = SECONDS[asked.bucket_width], _limit(asked)
    first = asked.start_time // width * width
    end = int(time.time()) + 1 if asked.end_time is None else asked.end_time
    if end <= asked.start_time:
        raise InvalidRequest("'end_time' has to be after 'start_time'.", param="end_time", code="invalid_value")
    begin = first if asked.page is None else _begin_of(asked.page, first, width)
    stop = min(begin + limit * width, -(-end // width) * width)
    sums = UsageStore(context.database).sums(
        start=begin,
        # The last hour counts whole: nothing finer is kept.
        end=min(stop, -(-end // HOUR) * HOUR),
        width=width,
        project_ids=asked.project_ids,
        models=asked.models,
        by_project=asked.by_project,
        by_model=asked.by_model,
    )
    used: dict[int, list[Used]] = defaultdict(list)
    for one in sums:
        used[one.start].append(one)
    buckets = [bucket_object(start, width, used[start]) for start in range(begin, stop, width)]
    return page_object(buckets, f"{_CURSOR}{stop}" if stop < end else None)


def _limit(asked: Asked) -> int:
    most = MAX_LIMITS[asked.bucket_width]
    limit = DEFAULT_LIMITS[asked.bucket_width] if asked.limit is None else asked.limit
    if not 1 <= limit <= most:
        message = f"Invalid 'limit': with buckets of {asked.bucket_width} it is a number from 1 to {most}."
        raise InvalidRequest(message, param="limit", code="invalid_value")
    return limit


def _begin_of(page: str, first: int, width: int) -> int:
    """The first bucket of a page; raises `InvalidRequest` for what is no cursor of this question."""
    text = page.removeprefix(_CURSOR)
    begin = int(text) if page.startswith(_CURSOR) and text.isascii() and text.isdigit() and len(text) <= 16 else -1
    if begin < first or begin % width:
        raise InvalidRequest(f"No such page: {page[:64]}", param="page", code="invalid_cursor")
    return begin
