from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy.advantages import group_advantages

REWARDS = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=32)


@given(REWARDS, st.booleans())
def test_only_a_sample_without_a_grade_has_no_advantage(rewards: list[float | None], scale: bool) -> None:
    advantages = group_advantages(rewards, scale_by_std=scale)
    assert [advantage is None for advantage in advantages] == [reward is None for reward in rewards]


@given(REWARDS)
def test_scaled_advantages_are_bounded_by_the_groups_size(rewards: list[float | None]) -> None:
    known = [advantage for advantage in group_advantages(rewards, scale_by_std=True) if advantage is not None]
    assert all(abs(advantage) <= math.sqrt(len(known) - 1) + 1e-6 for advantage in known)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("rewards", [[0.0, 0.0], [0.1] * 7, [1e9, 1e9 + 1e-3], [3.0, None], [-1.0]])
def test_without_spread_there_is_no_advantage(rewards: list[float | None], scale: bool) -> None:
    assert group_advantages(rewards, scale_by_std=scale) == [None if reward is None else 0.0 for reward in rewards]


def test_advantages_are_distances_from_the_mean_of_those_graded() -> None:
    assert group_advantages([1.0, None, 0.0, 0.5], scale_by_std=False) == pytest.approx([0.5, None, -0.5, 0.0])


def test_scaled_advantages_are_in_units_of_the_population_deviation() -> None:
    unit = statistics.pstdev([1.0, 0.0, 0.25])
    expected = [(reward - 1.25 / 3) / unit for reward in (1.0, 0.0, 0.25)]
    assert group_advantages([1.0, 0.0, 0.25], scale_by_std=True) == pytest.approx(expected)
