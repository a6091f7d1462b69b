from __future__ import annotations

import pytest

from cli.output import duration, sparkline


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (7384, "2:03:04"), (-3, "0:00"), (59.7, "1:00")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_rising_curve_rises() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 20, low=0, high=8) == "▁▂▃▄▅▆▇██"


def test_more_values_than_columns_are_averaged() -> None:
    assert sparkline([0, 0, 8, 8], 2, low=0, high=8) == "▁█"


def test_a_flat_curve_is_flat() -> None:
    assert sparkline([0.5, 0.5], 9, low=0.5, high=0.5) == "▁▁"


def test_no_values_are_no_curve() -> None:
    assert sparkline([], 9, low=0, high=1) == ""
