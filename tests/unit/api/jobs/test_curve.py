from __future__ import annotations

import pytest

from api.jobs.curve import matches


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False)],
)
def test_a_tag_is_found_in_if_none_match(header: str | None, expected: bool) -> None:
    assert matches(header, '"a"') is expected
