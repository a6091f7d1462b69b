"""The embedded engine: the policy's own merged weights sample, so there is nothing to sync and nothing to drift."""

from __future__ import annotations

from collections.abc import Sequence, Set

from worker.policy.lora_policy import LoraPolicy
from worker.rollout.base import Completion, PromptGroup, SamplingParams, StopReason
from worker.rollout.decode import decode


class TorchEngine:
    """Implements `RolloutEngine` on a policy in this process."""

    def __init__(self, policy: LoraPolicy, stop_ids: Set[int]) -> None:
        self._policy = policy
        self._stop_ids = stop_ids

    def generate(self, groups_P: Sequence[PromptGroup], params: SamplingParams) -> list[list[Completion]]:
        """See `RolloutEngine.generate`."""
        tokens: list[list[int]] = [[] for group in groups_P for _ in group.seeds_G]
        logprobs: list[list[float]] = [[] for _ in tokens]
        for drawn in decode(self._policy.merged, groups_P, params, self._stop_ids):
            for row, token, logprob in zip(drawn.rows, drawn.tokens, drawn.logprobs, strict=True):
                tokens[row].append(token)
                logprobs[row].append(logprob)
        rows = iter(zip(tokens, logprobs, strict=True))
        return [[self._completion(*next(rows)) for _ in group.seeds_G] for group in groups_P]

    def _completion(self, tokens: list[int], logprobs: list[float]) -> Completion:
        stopped = tokens[-1] in self._stop_ids
        return Completion(tuple(tokens), tuple(logprobs), StopReason.STOP if stopped else StopReason.LENGTH)

    def sync(self) -> None:
        """Nothing to do: an update leaves its weights where sampling reads them."""

    def close(self) -> None:
        """Nothing to let go of: the policy owns the weights."""
