"""The figures of an update, added up over micro-batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from worker.policy.base import UpdateStats
from worker.policy.losses import LossInputs


class PassFigures:
    """What adds up over the micro-batches of one pass over a step's samples."""

    def __init__(self) -> None:
        self.loss = self.policy_loss = self.kl = self.entropy = self.held = 0.0
        self.tokens = self.clippable = 0
        self.ratio_max = 0.0
        self.grad_norm = 0.0

    @torch.no_grad()
    def count(
        self, inputs: LossInputs, policy_loss: Tensor, loss: Tensor, kl: Tensor | None, entropy: Tensor, held: Tensor
    ) -> None:
        """Add one micro-batch."""
        self.policy_loss += float(policy_loss)
        self.loss += float(loss)
        self.kl += 0.0 if kl is None else float(kl)
        self.entropy += float(entropy.sum())
        self.held += float(held.sum())
        self.clippable += len(held)
        self.tokens += len(entropy)
        ratio = float((inputs.old_logprobs - inputs.sampler_logprobs).abs().max())
        self.ratio_max = ratio if math.isnan(ratio) else max(self.ratio_max, ratio)

    @property
    def finite(self) -> bool:
        """Whether an optimizer may use the gradient."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def update_stats(passes: list[PassFigures], *, tokens: int, cuts: tuple[int, ...]) -> UpdateStats:
    """An update's figures are those of its last pass, its ratio that of the first; entropy is a mean over computed tokens."""
    first, last = (passes[0], passes[-1]) if passes else (PassFigures(), PassFigures())
    return UpdateStats(
        loss=_finite(last.loss),
        policy_loss=_finite(last.policy_loss),
        kl=_finite(last.kl),
        entropy=_finite(last.entropy / max(last.tokens, 1)),
        clip_fraction=last.held / max(last.clippable, 1),
        ratio_max=_finite(first.ratio_max),
        grad_norm=_finite(last.grad_norm),
        tokens=tokens,
        skipped=not passes or not last.finite,
        not_finite=not last.finite,
        micro_batch_tokens=cuts,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
