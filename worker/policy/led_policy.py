"""A policy that several processes train: the leading one says what all of them do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from operator import methodcaller
from pathlib import Path
from typing import TypeVar

from worker.policy.base import TrainGroup, UpdateStats
from worker.policy.ranks import Ranks
from worker.policy.trained import TrainedPolicy

log = logging.getLogger(__name__)

T = TypeVar("T")
Order = Callable[[TrainedPolicy], T]


class LedPolicy:
    """Implements `PolicyTrainer` at the leading process, while the others `follow`. Alone it is the policy itself."""

    def __init__(self, policy: TrainedPolicy, ranks: Ranks) -> None:
        self._policy, self._ranks = policy, ranks

    def update(self, groups_P: Sequence[TrainGroup], temperature: float, cuts: Sequence[int] = ()) -> UpdateStats:
        """See `PolicyTrainer.update`."""
        order: Order[UpdateStats] = methodcaller("update", groups_P, temperature, cuts)
        return self._all(order)

    def save_checkpoint(self, directory: Path) -> None:
        """See `PolicyTrainer.save_checkpoint`: the leading process has all that goes into it."""
        self._policy.save_checkpoint(directory)

    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`."""
        self._all(methodcaller("save_state", directory))

    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`; all processes have read the directory when it returns."""
        self._all(methodcaller("load_state", directory))

    def _all(self, order: Order[T]) -> T:
        self._ranks.tell(order)
        result = order(self._policy)
        self._ranks.meet()
        return result


def follow(policy: TrainedPolicy, ranks: Ranks) -> None:
    """Do what the leading process says, until it has ended."""
    while True:
        try:
            order: Order[object] = ranks.tell()
        except RuntimeError as error:
            log.info("the leading process has ended: %s", error)
            return
        order(policy)
        ranks.meet()
