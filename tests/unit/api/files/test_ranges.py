from __future__ import annotations

import pytest

from api.files.ranges import NotWithinFile, asked_span


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=5-999999999999999999", (5, 10)),
    ],
)
def test_a_range_is_cut_to_the_file(header: str, span: tuple[int, int]) -> None:
    assert asked_span(header, 10) == span


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "bytes=0-1,3-4", "rows=0-1", "bytes=-1-2", "bytes=" + "9" * 5000 + "-"],
)
def test_what_is_no_single_range_means_the_whole_file(header: str) -> None:
    assert asked_span(header, 10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_without_a_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(NotWithinFile):
        asked_span(header, size)
