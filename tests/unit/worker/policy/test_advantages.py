from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy.advantages import Baseline, group_advantages, overlong_penalty

REWARDS = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=32)


@given(REWARDS, st.sampled_from(Baseline))
def test_only_a_sample_without_a_grade_has_no_advantage(rewards: list[float | None], baseline: Baseline) -> None:
    advantages = group_advantages(rewards, baseline)
    assert [advantage is None for advantage in advantages] == [reward is None for reward in rewards]


@given(REWARDS)
def test_scaled_advantages_are_bounded_by_the_groups_size(rewards: list[float | None]) -> None:
    known = [advantage for advantage in group_advantages(rewards, Baseline.STANDARD) if advantage is not None]
    assert all(abs(advantage) <= math.sqrt(len(known) - 1) + 1e-6 for advantage in known)


@pytest.mark.parametrize("baseline", Baseline)
@pytest.mark.parametrize("rewards", [[0.0, 0.0], [0.1] * 7, [1e9, 1e9 + 1e-3], [3.0, None], [-1.0]])
def test_without_spread_there_is_no_advantage(rewards: list[float | None], baseline: Baseline) -> None:
    assert group_advantages(rewards, baseline) == [None if reward is None else 0.0 for reward in rewards]


def test_advantages_are_distances_from_the_mean_of_those_graded() -> None:
    assert group_advantages([1.0, None, 0.0, 0.5], Baseline.MEAN) == pytest.approx([0.5, None, -0.5, 0.0])


def test_scaled_advantages_are_in_units_of_the_population_deviation() -> None:
    unit = statistics.pstdev([1.0, 0.0, 0.25])
    expected = [(reward - 1.25 / 3) / unit for reward in (1.0, 0.0, 0.25)]
    assert group_advantages([1.0, 0.0, 0.25], Baseline.STANDARD) == pytest.approx(expected)


def test_the_others_mean_is_the_baseline_of_leave_one_out() -> None:
    advantages = group_advantages([1.0, None, 0.0, 0.5], Baseline.OTHERS)
    assert advantages == pytest.approx([1.0 - 0.25, None, 0.0 - 0.75, 0.5 - 0.5])


@pytest.mark.parametrize(("tokens", "penalty"), [(1, 0.0), (80, 0.0), (90, -0.5), (100, -1.0)])
def test_length_is_penalised_over_the_last_fifth(tokens: int, penalty: float) -> None:
    assert overlong_penalty(tokens, 100) == pytest.approx(penalty)
