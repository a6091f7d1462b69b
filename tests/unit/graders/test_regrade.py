from __future__ import annotations

import itertools
import math
import random

import pytest

from graders.base import FailureKind
from graders.regrade import Regraded, compare, tau_b


def rollouts(before: list[float | None], after: list[float | None], group: object = 0) -> list[Regraded]:
    failed = FailureKind.PYTHON_RUNTIME
    return [
        Regraded(group, b, a, failed if b is None else None, failed if a is None else None)
        for b, a in zip(before, after, strict=True)
    ]


def slow_tau_b(x: list[float], y: list[float]) -> float:
    """By the definition: concordant less discordant pairs, over the geometric mean of the pairs without ties."""
    pairs = list(itertools.combinations(range(len(x)), 2))
    concordant = sum((x[i] - x[j]) * (y[i] - y[j]) > 0 for i, j in pairs)
    discordant = sum((x[i] - x[j]) * (y[i] - y[j]) < 0 for i, j in pairs)
    untied = [sum(values[i] != values[j] for i, j in pairs) for values in (x, y)]
    return (concordant - discordant) / math.sqrt(untied[0] * untied[1])


def test_tau_is_the_one_in_the_textbook() -> None:
    # Worked by hand: 8 concordant pairs, 1 discordant, 1 tied in the second list.
    assert tau_b([1, 2, 3, 4, 5], [1, 3, 2, 5, 5]) == pytest.approx((8 - 1) / math.sqrt(10 * 9))


@pytest.mark.parametrize("seed", range(5))
def test_tau_counts_pairs_with_ties(seed: int) -> None:
    draw = random.Random(seed)
    x, y = ([float(draw.randrange(4)) for _ in range(30)] for _ in range(2))
    assert tau_b(x, y) == pytest.approx(slow_tau_b(x, y))


@pytest.mark.parametrize(("before", "after"), [([1.0, 1.0], [0.0, 1.0]), ([0.0, 1.0], [2.0, 2.0]), ([1.0], [1.0]), ([], [])])
def test_without_spread_there_is_no_tau(before: list[float], after: list[float]) -> None:
    assert tau_b(before, after) is None


def test_a_larger_scale_orders_the_same() -> None:
    found = compare(rollouts([0.0, 0.5, 1.0], [0.0, 5.0, 10.0]))
    assert (found.kendall_tau, found.same_order, found.same_reward) == (1.0, 1.0, pytest.approx(1 / 3))
    assert (found.before.mean, found.after.mean) == (0.5, 5.0)


def test_ranks_are_taken_within_groups() -> None:
    found = compare(rollouts([0.0, 1.0], [10.0, 11.0], "a") + rollouts([2.0, 3.0], [1.0, 0.0], "b"))
    assert (found.groups, found.ranked_groups, found.kendall_tau, found.same_order) == (2, 2, 0.0, 0.5)


def test_spread_is_counted_on_each_side() -> None:
    found = compare(rollouts([1.0, 1.0], [0.0, 1.0], "a") + rollouts([0.0, 1.0], [1.0, 1.0], "b") + rollouts([0.0], [1.0], "c"))
    assert (found.before.groups_with_spread, found.after.groups_with_spread, found.ranked_groups) == (1, 1, 0)
    assert found.kendall_tau is None


def test_failures_are_counted_and_left_out() -> None:
    found = compare(rollouts([0.0, 1.0, None, 0.5], [0.0, None, 1.0, 0.5]))
    assert (found.before.graded, found.after.graded, found.samples) == (3, 3, 4)
    assert found.before.failures == found.after.failures == {FailureKind.PYTHON_RUNTIME: 1}
    assert (found.same_reward, found.kendall_tau) == (1.0, 1.0)
    assert (found.before.mean, found.after.mean) == (0.5, 0.5)


def test_nothing_graded_has_no_figures() -> None:
    found = compare(rollouts([1.0, 0.0], [None, None]))
    assert (found.after.mean, found.same_reward, found.same_order, found.kendall_tau) == (None, None, None, None)


def test_no_rollouts_compare() -> None:
    assert compare([]).samples == 0


def test_rounding_is_no_change() -> None:
    assert compare(rollouts([0.3, 0.3], [0.1 + 0.2, 0.3])).same_order == 1.0


def test_huge_rewards_are_compared() -> None:
    found = compare(rollouts([1.7e308, -1.7e308], [1.7e308, -1.7e308]))
    assert (found.before.mean, found.kendall_tau) == (0.0, 1.0)


def test_the_change_of_a_failure_is_none_at_all() -> None:
    assert [rollout.change for rollout in rollouts([1.0, None, 1.0], [0.0, 1.0, None])] == [-1.0, 0.0, 0.0]
