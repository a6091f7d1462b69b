"""OpenAI's list objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import InvalidRequest

Json = dict[str, Any]


def list_object(data: Sequence[Json], *, has_more: bool, with_ends: bool = False) -> Json:
    """One page of a list; `with_ends` adds the first and the last id, for the lists that carry them."""
    page: Json = {"object": "list", "data": list(data), "has_more": has_more}
    if with_ends:
        page["first_id"] = data[0]["id"] if data else None
        page["last_id"] = data[-1]["id"] if data else None
    return page


def page_of(data: Sequence[Json], *, after: str | None, limit: int) -> Json:
    """A page of a list that is short enough to be read whole; raises `InvalidRequest` for a cursor that is none of its ids."""
    start = 0
    if after is not None:
        place = next((number for number, item in enumerate(data) if item["id"] == after), None)
        if place is None:
            raise InvalidRequest(f"No such object in this list: {after}", param="after", code="invalid_cursor")
        start = place + 1
    return list_object(data[start : start + limit], has_more=len(data) > start + limit, with_ends=True)
