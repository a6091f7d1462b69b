"""OpenAI's list objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def list_object(data: Sequence[Json], *, has_more: bool, with_ends: bool = False) -> Json:
    """One page of a list; `with_ends` adds the first and the last id, for the lists that carry them."""
    page: Json = {"object": "list", "data": list(data), "has_more": has_more}
    if with_ends:
        page["first_id"] = data[0]["id"] if data else None
        page["last_id"] = data[-1]["id"] if data else None
    return page
