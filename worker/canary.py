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
    """Compares engines with the policy on sequences that it was given once."""

    def __init__(self, engines: Sequence[SyncedEngine], policy: Scorer, temperature: float, limit: float) -> None:
        self._engines, self._policy, self._temperature, self._limit = engines, policy, temperature, limit
        self._sequences: Sequences = ()

    def before_update(self, sequences: Sequences, *, in_use: bool = False) -> None:
        """Take sequences from the job's first batch, with a first look at them; then the engines make room for the update.

        Not those that are `in_use` meanwhile.

        Raises `OutOfSync`.
        """
        if not self._sequences:
            self._sequences = [sequence for sequence in sequences if sequence[1]][:: max(1, len(sequences) // ROWS)][:ROWS]
            self.check()
        if not in_use:
            for engine in self._engines:
                engine.rest()

    def check(self) -> float | None:
        """The largest difference of an engine's log-probabilities and the policy's; None before there is anything to compare.

        Raises `OutOfSync` over the limit.
        """
        if not self._sequences:
            return None
        policys = self._policy.score(self._sequences, self._temperature)
        scores = [engine.score(self._sequences, self._temperature) for engine in self._engines]
        pairs = [pair for theirs in scores for rows in zip(theirs, policys, strict=True) for pair in zip(*rows, strict=True)]
        differences = [abs(theirs - ours) for theirs, ours in pairs]
        for difference in differences:
            if not difference <= self._limit:  # not a number is no proof either
                raise OutOfSync(
                    f"The engine does not sample from the policy: after a sync, log-probabilities of the same tokens differ by "
                    f"{difference:.3g}, and the limit is {self._limit:g}."
                )
        return max(differences)
