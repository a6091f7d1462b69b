"""Proof that an engine samples with the policy's weights: both score the same few sequences after every sync.

Wrong or stale weights in the sampler do not look like an error. The job goes on, learns from completions of another policy, and
ends a little worse. Only the two sides' log-probabilities of the same tokens tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.errors import JobFailure

Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]

ROWS = 8
"""Sequences of a canary batch."""
LIMITS = {"float32": 0.01, "bfloat16": 0.5}
"""Largest difference of a token's log-probability, by the type of the weights. Float32 differs by 1e-4 from kernel to kernel;
bfloat16 keeps 8 bits, and an unlikely token's logit may be off by several of its steps."""


class OutOfSync(JobFailure):
    """The engine's log-probabilities are not those of the policy."""

    code = "engine_out_of_sync"


class Scorer(Protocol):
    """Knows what the tokens of a completion are worth under its weights."""

    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        """Log-probability of every token of the completions, each after its prompt, before top-p and any format."""


class SyncedEngine(Scorer, Protocol):
    """An engine with weights of its own."""

    def rest(self) -> None:
        """Give the device to the trainer until the next `sync`; nothing where they do not share it."""


class Canary:
    """Compares an engine with the policy on sequences that it was given once."""

    def __init__(self, engine: SyncedEngine, policy: Scorer, temperature: float, limit: float) -> None:
        self._engine, self._policy, self._temperature, self._limit = engine, policy, temperature, limit
        self._sequences: Sequences = ()

    def before_update(self, sequences: Sequences, *, in_use: bool = False) -> None:
        """Take sequences from the job's first batch, with a first look at them; then the engine makes room for the update.

        Not one that is `in_use` meanwhile.

        Raises `OutOfSync`.
        """
        if not self._sequences:
            self._sequences = [sequence for sequence in sequences if sequence[1]][:: max(1, len(sequences) // ROWS)][:ROWS]
            self.check()
        if not in_use:
            self._engine.rest()

    def check(self) -> float | None:
        """The largest difference of the two sides' log-probabilities; None before there is anything to compare.

        Raises `OutOfSync` over the limit.
        """
        if not self._sequences:
            return None
        sides = [side.score(self._sequences, self._temperature) for side in (self._engine, self._policy)]
        pairs = [pair for rows in zip(*sides, strict=True) for pair in zip(*rows, strict=True)]
        difference: float = max(abs(ours - theirs) for ours, theirs in pairs)
        if not difference <= self._limit:  # not a number is no proof either
            raise OutOfSync(
                f"The engine does not sample from the policy: after a sync, log-probabilities of the same tokens differ by up to "
                f"{difference:.3g}, and the limit is {self._limit:g}."
            )
        return difference
