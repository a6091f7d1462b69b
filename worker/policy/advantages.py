"""Advantages: how much better a sample is than the others of its group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

SPREAD_FLOOR = 1e-4
"""Standard deviations of reward below this share of the rewards' size are rounding, not signal."""
OVERLONG_SHARE = 0.2
"""The last share of the allowed length in which a completion is penalised for its length."""


class Baseline(StrEnum):
    """What a reward is compared with, and in which unit."""

    STANDARD = "standard"
    """`(r - mean) / std` with the population deviation (Shao et al. 2024, arXiv:2402.03300): bounded by sqrt(G - 1)."""
    MEAN = "mean"
    """`r - mean` (Liu et al. 2025, arXiv:2503.20783)."""
    OTHERS = "others"
    """`r - mean of the others` (leave-one-out, Ahmadian et al. 2024, arXiv:2402.14740), which is `(r - mean) G / (G - 1)`."""


BASELINES: dict[str, Baseline] = {"dr_grpo": Baseline.MEAN, "rloo": Baseline.OTHERS}
"""By loss; all others take the group's standard score."""


def group_advantages(rewards_G: Sequence[float | None], baseline: Baseline) -> list[float | None]:
    """Advantages of one group; None where the reward is None (a failed grade is masked, never a zero).

    A group without spread gives zeros, and nothing is ever divided by a deviation that is only rounding.
    """
    known = [reward for reward in rewards_G if reward is not None]
    if not known:
        return [None for _ in rewards_G]
    mean = math.fsum(known) / len(known)
    std = math.sqrt(math.fsum((reward - mean) ** 2 for reward in known) / len(known))
    if std <= SPREAD_FLOOR * max(abs(reward) for reward in known):
        return [None if reward is None else 0.0 for reward in rewards_G]
    match baseline:
        case Baseline.STANDARD:
            unit = std
        case Baseline.MEAN:
            unit = 1.0
        case Baseline.OTHERS:
            unit = (len(known) - 1) / len(known)
    return [None if reward is None else (reward - mean) / unit for reward in rewards_G]


def overlong_penalty(tokens: int, max_tokens: int) -> float:
    """What a completion's reward loses for its length, from 0 to -1: linear over the last `OVERLONG_SHARE` of what is allowed.

    Soft overlong punishment, Yu et al. 2025 (arXiv:2503.14476, eq. 13).
    """
    free = (1 - OVERLONG_SHARE) * max_tokens
    return -max(0.0, tokens - free) / (max_tokens - free)
