"""Fewer points that look the same."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from core.jobs.thinning import CurvePoint, thinned


def curve(count: int, every: int = 10) -> list[CurvePoint]:
    return [CurvePoint(i, math.sin(i / 300), math.cos(i / 300) if i % every == 0 else None) for i in range(count)]


def test_a_short_curve_stays_whole() -> None:
    assert thinned(curve(50), 50) == list(range(50))


@given(count=st.integers(1, 3000), most=st.integers(10, 400), every=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_the_bound_holds_and_both_ends_stay(count: int, most: int, every: int) -> None:
    kept = thinned(curve(count, every), most)
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, count - 1)


def test_the_one_spike_of_thirty_thousand_steps_stays() -> None:
    points = curve(30_000)
    points[17_171] = CurvePoint(17_171, 50.0, None)
    assert 17_171 in thinned(points, 500)


def test_few_validations_all_stay() -> None:
    kept = set(thinned(curve(30_000, every=1000), 400))
    assert kept >= set(range(0, 30_000, 1000))


def test_the_best_of_many_validations_stays() -> None:
    points = curve(30_000, every=10)
    points[20_010] = CurvePoint(20_010, 0.0, 9.0)
    assert 20_010 in thinned(points, 400)


def test_steps_without_rewards_are_dropped_first() -> None:
    points = [CurvePoint(i, None, None) for i in range(100)]
    assert thinned(points, 10) == [0, 99]
