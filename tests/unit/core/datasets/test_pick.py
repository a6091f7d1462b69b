from __future__ import annotations

import io
import json

import pytest

from core.datasets.pick import pick_rows
from core.errors import TooLarge

ROWS = [{"n": n, "text": "x" * 100} for n in range(10)]
FILE = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def test_rows_are_found_by_their_places() -> None:
    assert pick_rows(io.BytesIO(FILE), {7, 2}, 10_000) == {2: ROWS[2], 7: ROWS[7]}


def test_nothing_is_read_beyond_the_last_place() -> None:
    stream = io.BytesIO(FILE)
    pick_rows(stream, {1}, 10_000)
    assert stream.tell() < len(FILE) / 2


def test_a_place_beyond_the_end_is_left_out() -> None:
    assert pick_rows(io.BytesIO(FILE), {3, 10}, 10_000) == {3: ROWS[3]}


def test_what_is_not_asked_for_may_be_large() -> None:
    assert pick_rows(io.BytesIO(FILE), {9}, 200) == {9: ROWS[9]}


def test_too_much_is_refused() -> None:
    with pytest.raises(TooLarge):
        pick_rows(io.BytesIO(FILE), {0, 1, 2}, 300)
