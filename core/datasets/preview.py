"""Rows of a dataset to look at, good and bad ones alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from core.datasets.read import Problem, Row, read_lines


def preview(stream: BinaryIO, start: int, limit: int) -> Iterator[tuple[int, Row | Problem]]:
    """At most `limit` rows from the one at the place `start` on, counted from 0, each with its place."""
    return islice(enumerate(read_lines(stream)), start, start + limit)
