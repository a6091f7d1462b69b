"""The embedded engine: the policy's own merged weights sample, so there is nothing to sync and nothing to drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from worker.policy.lora_policy import LoraPolicy
from worker.rollout.base import Completion, PromptGroup, SamplingParams, StopReason
from worker.rollout.decode import decode
from worker.rollout.guide import Guides


class TorchEngine:
    """Implements `RolloutEngine` on a policy in this process."""

    def __init__(self, policy: LoraPolicy, stop_ids: Set[int], guides: Callable[[], Guides] | None = None) -> None:
        """`guides` are made when a format first asks for them; without them none may."""
        self._policy = policy
        self._stop_ids = stop_ids
        self._make_guides = guides
        self._guides: Guides | None = None

    def generate(self, groups_P: Sequence[PromptGroup], params: SamplingParams) -> list[list[Completion]]:
        """See `RolloutEngine.generate`."""
        if params.response_format is not None and self._guides is None and self._make_guides is not None:
            self._guides = self._make_guides()
        tokens: list[list[int]] = [[] for group in groups_P for _ in group.seeds_G]
        logprobs: list[list[float]] = [[] for _ in tokens]
        for drawn in decode(self._policy.merged, groups_P, params, self._stop_ids, self._guides):
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
