"""Losses: pure functions from a step's token log-probabilities to its loss, one a method, each with its paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossInputs:
    """Completion tokens of (a part of) a step: tensors are [T], over all its completions."""

    logprobs: Tensor
    """Under the policy being updated; carries gradients."""
    old_logprobs: Tensor
    """Under the policy that sampled."""
    advantages: Tensor
    """Each token carries its completion's advantage."""
    clip_low: float
    clip_high: float
    step_tokens: int
    """Completion tokens of the whole step, all parts together."""
    step_completions: int
    """Completions of the whole step."""
    max_tokens: int
    """The most tokens a completion may have."""


def clipped_objective(inputs: LossInputs) -> tuple[Tensor, Tensor]:
    """min(r A, clip(r, 1 - low, 1 + high) A) a token, and which tokens the clip holds back; r = exp(logprob - old).

    Schulman et al. 2017 (arXiv:1707.06347), with the wider upper bound of Yu et al. 2025 (arXiv:2503.14476).
    """
    ratio = torch.exp(inputs.logprobs - inputs.old_logprobs)
    clipped = ratio.clamp(1 - inputs.clip_low, 1 + inputs.clip_high)
    objective = torch.minimum(ratio * inputs.advantages, clipped * inputs.advantages)
    held = (clipped * inputs.advantages < ratio * inputs.advantages) & (ratio != clipped)
    return objective, held


def grpo(inputs: LossInputs) -> Tensor:
    """-(1 / tokens of the step) * sum of the clipped objective: every token weighs the same.

    Shao et al. 2024 (arXiv:2402.03300) with the token-level mean of Yu et al. 2025 (arXiv:2503.14476, section 3.3).
    """
    return -clipped_objective(inputs)[0].sum() / inputs.step_tokens


def dr_grpo(inputs: LossInputs) -> Tensor:
    """-(1 / (completions * max_tokens)) * sum of the clipped objective: no bias towards length; advantages without deviation.

    Liu et al. 2025 (arXiv:2503.20783).
    """
    return -clipped_objective(inputs)[0].sum() / (inputs.step_completions * inputs.max_tokens)


def kl_to_reference(logprobs: Tensor, reference: Tensor) -> Tensor:
    """exp(ref - logp) - (ref - logp) - 1 a token: unbiased for KL(policy || reference), never negative.

    Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    gap = reference - logprobs
    return torch.exp(gap) - gap - 1


LOSSES: dict[str, Callable[[LossInputs], Tensor]] = {"grpo": grpo, "dr_grpo": dr_grpo}
SCALED_BY_STD = frozenset({"grpo"})
"""Losses whose advantages are divided by the group's deviation."""
