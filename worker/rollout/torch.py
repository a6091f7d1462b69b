"""The embedded engine: the policy's own merged weights sample, so there is nothing to sync and nothing to drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

import torch

from core.lifeline import mark_progress
from worker.policy.trained import TrainedPolicy
from worker.rollout.base import Completion, Finished, PromptGroup, SamplingParams, StopReason, unheard
from worker.rollout.decode import decode
from worker.rollout.guide import Guides


class TorchEngine:
    """Implements `RolloutEngine` on a policy in this process."""

    def __init__(
        self,
        policy: TrainedPolicy,
        stop_ids: Set[int],
        guides: Callable[[], Guides] | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        """`guides` are made when a format first asks for them; without them none may.

        To sample `ahead`, while the policy is updated, the engine keeps a copy of the weights that it was given last.
        """
        self._policy = policy
        self._copy = policy.merged.copy(policy.merged.embed.dtype) if ahead else None
        self._stop_ids = stop_ids
        self._make_guides = guides
        self._guides: Guides | None = None

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """See `RolloutEngine.generate`."""
        if params.response_format is not None and self._guides is None and self._make_guides is not None:
            self._guides = self._make_guides()
        places = [(group, member) for group, prompt in enumerate(groups_P) for member in range(len(prompt.seeds_G))]
        tokens: list[list[int]] = [[] for _ in places]
        logprobs: list[list[float]] = [[] for _ in places]
        done: dict[int, Completion] = {}

        def end(rows: Iterable[int]) -> None:
            for row in rows:
                done[row] = self._completion(tokens[row], logprobs[row])
                finished(*places[row], done[row])

        active: Set[int] = set()
        weights = self._copy or self._policy.merged
        for drawn in decode(weights, groups_P, params, self._stop_ids, self._guides):
            # A row that is not drawn any more has ended with the position before.
            end(sorted(active - set(drawn.rows)))
            active = set(drawn.rows)
            mark_progress()
            for row, token, logprob in zip(drawn.rows, drawn.tokens, drawn.logprobs, strict=True):
                tokens[row].append(token)
                logprobs[row].append(logprob)
        end(sorted(active))
        rows = (done[row] for row in range(len(places)))
        return [[next(rows) for _ in group.seeds_G] for group in groups_P]

    def _completion(self, tokens: list[int], logprobs: list[float]) -> Completion:
        stopped = tokens[-1] in self._stop_ids
        return Completion(tuple(tokens), tuple(logprobs), StopReason.STOP if stopped else StopReason.LENGTH)

    @torch.no_grad()
    def sync(self) -> None:
        """Nothing to do where an update leaves its weights where sampling reads them."""
        if self._copy is not None:
            for ours, theirs in zip(self._copy.tensors(), self._policy.merged.tensors(), strict=True):
                ours.copy_(theirs)

    def close(self) -> None:
        """Nothing to let go of: the policy owns the weights."""
