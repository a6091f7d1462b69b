"""Advantages: how much better a sample is than the others of its group."""

from __future__ import annotations

import math
from collections.abc import Sequence

SPREAD_FLOOR = 1e-4
"""Standard deviations of reward below this share of the rewards' size are rounding, not signal."""


def group_advantages(rewards_G: Sequence[float | None], *, scale_by_std: bool) -> list[float | None]:
    """Advantages of one group; None where the reward is None (a failed grade is masked, never a zero).

    `(r - mean) / std` with the population deviation (Shao et al. 2024, arXiv:2402.03300), hence bounded by sqrt(G - 1); without
    `scale_by_std` it is `r - mean` (Liu et al. 2025, arXiv:2503.20783). A group without spread gives zeros.
    """
    known = [reward for reward in rewards_G if reward is not None]
    if not known:
        return [None for _ in rewards_G]
    mean = math.fsum(known) / len(known)
    std = math.sqrt(math.fsum((reward - mean) ** 2 for reward in known) / len(known))
    if std <= SPREAD_FLOOR * max(abs(reward) for reward in known):
        return [None if reward is None else 0.0 for reward in rewards_G]
    unit = std if scale_by_std else 1.0
    return [None if reward is None else (reward - mean) / unit for reward in rewards_G]
