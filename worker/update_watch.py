"""What a run makes of its updates' troubles: numbers that are not finite, and memory that does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.errors import JobFailure
from worker.policy.base import UpdateStats
from worker.policy.trained import MICRO_BATCH_TOKENS

Json = dict[str, Any]

NOT_FINITE_LIMIT = 5
"""Updates in a row that may be left out because loss or gradient were not finite. One comes of a freak batch; a run of them means
weights or settings that no further step will mend."""


class NotFinite(JobFailure):
    """Update after update has no finite loss or gradient."""

    code = "loss_not_finite"


class UpdateWatch:
    """Knows the updates that were committed before this run, and judges those of this run, in order."""

    def __init__(self, committed: Sequence[Json], updates: int, warn: Callable[[str], None]) -> None:
        """`committed` are the metrics of all committed steps, `updates` how many of them the policy has behind it already."""
        updates_of = {metrics["step"]: metrics["touchstone"]["update"] for metrics in committed}
        self._updates = {step: update for step, update in updates_of.items() if update}
        self._warn = warn
        self._in_a_row = 0
        self._part_tokens = MICRO_BATCH_TOKENS
        for step in sorted(step for step in self._updates if step <= updates):
            update = self._updates[step]
            self._note(update.get("not_finite", False), skipped=update["skipped"])
            self._part_tokens = min(self.cuts(step), default=self._part_tokens)

    def cuts(self, step: int) -> Sequence[int]:
        """Where the update of this step was cut when it was committed; empty for one that is new."""
        return tuple(self._updates.get(step, {}).get("micro_batch_tokens", ()))

    def accept(self, step: int, stats: UpdateStats) -> None:
        """Take note of an update and tell of its troubles, if it is new. Raises `NotFinite` at `NOT_FINITE_LIMIT` in a row."""
        self._note(stats.not_finite, skipped=stats.skipped)
        if step not in self._updates:
            self._tell(step, stats)
        self._part_tokens = min(stats.micro_batch_tokens, default=self._part_tokens)
        if self._in_a_row >= NOT_FINITE_LIMIT:
            raise NotFinite(
                f"Loss or gradient were not finite in {self._in_a_row} updates in a row, the last of them that of step {step}. "
                "Lower the learning rate or raise touchstone.kl_coef; the metrics of the steps before tell more."
            )

    def _note(self, not_finite: bool, *, skipped: bool) -> None:
        """A step without signal says nothing either way."""
        if not_finite:
            self._in_a_row += 1
        elif not skipped:
            self._in_a_row = 0

    def _tell(self, step: int, stats: UpdateStats) -> None:
        if stats.not_finite:
            self._warn(
                f"Step {step}: loss or gradient were not finite; the update is left out. "
                f"The job stops after {NOT_FINITE_LIMIT} of these in a row."
            )
        now = min(stats.micro_batch_tokens, default=self._part_tokens)
        if now < self._part_tokens:
            self._warn(f"Step {step}: memory did not suffice; updates are now computed in parts of {now} tokens.")
