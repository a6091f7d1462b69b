"""What an edited grader would have changed: two grades of the same kept rollouts, compared by mean and by rank.

Training follows what differs within a group, so that is what is compared: a reward that is twice as large everywhere trains the
same, one that orders the completions of a prompt otherwise does not.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graders.base import FailureKind

TOLERANCE = 1e-9
"""Rewards that differ by less are the same."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regraded:
    """A kept rollout's two grades. One that has none has the reward None and its kind of failure."""

    group: Hashable
    """What its prompt's completions of one step have in common."""
    before: float | None
    after: float | None
    failure_before: FailureKind | None = None
    failure_after: FailureKind | None = None

    @property
    def change(self) -> float:
        """By how much the reward moves; 0 where one of the two is missing."""
        return 0.0 if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Side:
    """One grader's view of all rollouts."""

    graded: int
    mean: float | None
    """Over those it graded."""
    groups_with_spread: int
    """Groups whose graded rewards differ: the others train nothing."""
    failures: dict[FailureKind, int]


@dataclass(frozen=True)
class Comparison:
    """How the grades of some rollouts move. Shares and correlations are None where there is nothing to take them of."""

    samples: int
    groups: int
    before: Side
    after: Side
    same_reward: float | None
    """Share of equal rewards among the samples that both graded."""
    same_order: float | None
    """Share of the pairs within groups that both put in the same order, equality counted as an order."""
    kendall_tau: float | None
    """Kendall's tau-b (Kendall 1945, Biometrika 33), the mean over the groups in which both graders' rewards have spread."""
    ranked_groups: int
    """How many groups that mean is of."""


def compare(rollouts: Sequence[Regraded]) -> Comparison:
    """The comparison of both grades of all these rollouts. Work grows with the square of a group's size, else linearly."""
    groups: dict[Hashable, list[Regraded]] = defaultdict(list)
    for rollout in rollouts:
        groups[rollout.group].append(rollout)
    equal = pairs = same = 0
    taus: list[float] = []
    for members in groups.values():
        before, after = _graded_by_both(members)
        equal += int(np.count_nonzero(np.abs(after - before) <= TOLERANCE))
        orders = _orders(before), _orders(after)
        pairs += orders[0].size
        same += int(np.count_nonzero(orders[0] == orders[1]))
        tau = _tau_b(*orders)
        if tau is not None:
            taus.append(tau)
    both = sum(rollout.before is not None and rollout.after is not None for rollout in rollouts)
    return Comparison(
        samples=len(rollouts),
        groups=len(groups),
        before=_side([[(rollout.before, rollout.failure_before) for rollout in members] for members in groups.values()]),
        after=_side([[(rollout.after, rollout.failure_after) for rollout in members] for members in groups.values()]),
        same_reward=equal / both if both else None,
        same_order=same / pairs if pairs else None,
        kendall_tau=math.fsum(taus) / len(taus) if taus else None,
        ranked_groups=len(taus),
    )


def tau_b(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Kendall's tau-b of two lists of rewards of the same samples; None where one of them has no spread."""
    return _tau_b(_orders(np.asarray(before, float)), _orders(np.asarray(after, float)))


def _graded_by_both(members: Sequence[Regraded]) -> tuple[Floats, Floats]:
    known = [(rollout.before, rollout.after) for rollout in members if rollout.before is not None and rollout.after is not None]
    table = np.asarray(known, float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _orders(rewards: Floats) -> Floats:
    """-1, 0 or 1 for each pair of samples, in one fixed order of the pairs."""
    first, second = np.triu_indices(len(rewards), 1)
    with np.errstate(over="ignore"):
        differences = rewards[second] - rewards[first]
    return np.where(np.abs(differences) <= TOLERANCE, 0.0, np.sign(differences))


def _tau_b(before: Floats, after: Floats) -> float | None:
    untied = np.count_nonzero(before), np.count_nonzero(after)
    if not all(untied):
        return None
    return float(before @ after / math.sqrt(untied[0] * untied[1]))


def _side(groups: Sequence[Sequence[tuple[float | None, FailureKind | None]]]) -> Side:
    known = [[reward for reward, _ in members if reward is not None] for members in groups]
    graded = sum(map(len, known))
    return Side(
        graded=graded,
        # Divided before they are added: rewards near the largest number there is have a mean, but no sum.
        mean=math.fsum(reward / graded for rewards in known for reward in rewards) if graded else None,
        groups_with_spread=sum(bool(rewards) and max(rewards) - min(rewards) > TOLERANCE for rewards in known),
        failures=dict(Counter(failure for members in groups for _, failure in members if failure is not None)),
    )
