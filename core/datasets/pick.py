"""Some rows of a dataset by their places, without holding the others."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any, BinaryIO

from core.datasets.read import Problem, read_lines
from core.errors import TooLarge

Json = dict[str, Any]


def pick_rows(stream: BinaryIO, places: Set[int], max_bytes: int) -> dict[int, Json]:
    """The rows at these places, counted from 0, of a file that was checked before; reading ends at the last one.

    Raises `TooLarge` where they come to more than `max_bytes` of JSON. A place beyond the end, or one whose line is no row, is
    left out.
    """
    picked: dict[int, Json] = {}
    last, room = max(places, default=-1), max_bytes
    for place, found in enumerate(read_lines(stream)):
        if place > last:
            break
        if place not in places or isinstance(found, Problem):
            continue
        room -= len(json.dumps(found.value))
        if room < 0:
            raise TooLarge(f"The rows of the data file come to more than {max_bytes} bytes.")
        picked[place] = found.value
    return picked
