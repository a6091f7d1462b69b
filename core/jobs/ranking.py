"""The one order of checkpoints: which stay, which is `best`, which a tuned model's name stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Ranked(Protocol):
    """What is ranked: a checkpoint, as value or as row."""

    @property
    def step(self) -> int:
        """Updates before it."""

    @property
    def valid_reward(self) -> float | None:
        """Mean reward on the validation file; None where it was not validated."""


T = TypeVar("T", bound=Ranked)


def best_first(checkpoints: Iterable[T]) -> list[T]:
    """The validated ones by falling reward, the earlier of equals first; those not validated are left out."""
    scored = [(checkpoint.valid_reward, checkpoint) for checkpoint in checkpoints if checkpoint.valid_reward is not None]
    return [checkpoint for _, checkpoint in sorted(scored, key=lambda pair: (-pair[0], pair[1].step))]
