"""Losses: pure functions from a step's token log-probabilities to its loss, one a method, each with its paper.

Three policies meet here: the one being updated (`logprobs`), the trainer's own before the update (`old_logprobs`), and the
sampler's (`sampler_logprobs`), which is the old one up to rounding, other kernels, or staleness. The first two form the ratio
that is clipped; the step from the third to the second is corrected by a truncated importance weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLER_WEIGHT_CAP = 2.0
"""Largest importance weight between sampler and trainer: truncated importance sampling (Yao et al. 2025, "Your efficient RL
framework secretly brings you off-policy RL training"; the truncation is Ionides 2008)."""


@dataclass(frozen=True)
class LossInputs:
    """Whole completions of (a part of) a step: [T] over all their tokens, [C] over completions."""

    logprobs: Tensor
    """[T] under the policy being updated; carries gradients."""
    old_logprobs: Tensor
    """[T] under the trainer's policy before the update."""
    sampler_logprobs: Tensor
    """[T] as the sampler gave them."""
    advantages: Tensor
    """[C]"""
    lengths: Tensor
    """[C] tokens of each completion, at least 1; they follow each other in the [T] tensors."""
    clip_low: float
    clip_high: float
    step_tokens: int
    """Completion tokens of the whole step, all parts together."""
    step_completions: int
    """Completions of the whole step."""
    max_tokens: int
    """The most tokens a completion may have."""

    @property
    def token_advantages(self) -> Tensor:
        """[T]: each token carries its completion's advantage."""
        return self.advantages.repeat_interleave(self.lengths)

    def sums(self, values_T: Tensor) -> Tensor:
        """[C]: the sum over each completion's tokens."""
        owner_T = torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(self.lengths)
        return values_T.new_zeros(len(self.lengths)).index_add(0, owner_T, values_T)

    def means(self, values_T: Tensor) -> Tensor:
        """[C]: the mean over each completion's tokens."""
        return self.sums(values_T) / self.lengths


@dataclass(frozen=True)
class Objective:
    """What a method maximises, a value for each token or for each completion, and which of them its clip holds back."""

    values: Tensor
    held: Tensor


def clipped(log_ratio: Tensor, log_weight: Tensor, advantages: Tensor, low: float, high: float) -> Objective:
    """The objective w min(r A, clip(r, 1 - low, 1 + high) A), with r = exp(log ratio) and w = min(exp(log weight), cap).

    Schulman et al. 2017 (arXiv:1707.06347); the two bounds apart as in Yu et al. 2025 (arXiv:2503.14476).
    """
    ratio = torch.exp(log_ratio)
    bounded = ratio.clamp(1 - low, 1 + high)
    values = torch.minimum(ratio * advantages, bounded * advantages) * _sampler_weight(log_weight)
    held = (bounded * advantages < ratio * advantages) & (ratio != bounded)
    return Objective(values, held)


def token_objective(inputs: LossInputs) -> Objective:
    """[T]: the clipped objective with the ratio of single tokens."""
    log_ratio, log_weight = _token_logs(inputs)
    return clipped(log_ratio, log_weight, inputs.token_advantages, inputs.clip_low, inputs.clip_high)


def symmetric_objective(inputs: LossInputs) -> Objective:
    """[T]: the same within [1 - low, 1 + low], as PPO has it (arXiv:1707.06347)."""
    log_ratio, log_weight = _token_logs(inputs)
    return clipped(log_ratio, log_weight, inputs.token_advantages, inputs.clip_low, inputs.clip_low)


def mean_ratio_objective(inputs: LossInputs) -> Objective:
    """[C]: the clipped objective with exp(mean of the tokens' log ratios), the ratio of GSPO (arXiv:2507.18071, eq. 7)."""
    log_ratio, log_weight = (inputs.means(values) for values in _token_logs(inputs))
    return clipped(log_ratio, log_weight, inputs.advantages, inputs.clip_low, inputs.clip_high)


def completion_objective(inputs: LossInputs) -> Objective:
    """[C]: the clipped objective with the ratio of whole completions' probabilities."""
    log_ratio, log_weight = (inputs.sums(values) for values in _token_logs(inputs))
    return clipped(log_ratio, log_weight, inputs.advantages, inputs.clip_low, inputs.clip_high)


def weighted_objective(inputs: LossInputs) -> Objective:
    """[T]: sg(min(r, 1 + high)) A log p: the clip bounds a token's weight and never silences it (arXiv:2506.13585, eq. 4)."""
    log_ratio, log_weight = _token_logs(inputs)
    ratio = torch.exp(log_ratio).detach()
    weight = ratio.clamp(max=1 + inputs.clip_high) * _sampler_weight(log_weight)
    return Objective(weight * inputs.token_advantages * inputs.logprobs, ratio > 1 + inputs.clip_high)


def per_token(inputs: LossInputs, objective: Tensor) -> Tensor:
    """-(1 / tokens of the step) * sum: every token weighs the same (arXiv:2503.14476, section 3.3)."""
    return -objective.sum() / inputs.step_tokens


def per_completion(inputs: LossInputs, objective: Tensor) -> Tensor:
    """-(1 / completions of the step) * sum."""
    return -objective.sum() / inputs.step_completions


def per_longest(inputs: LossInputs, objective: Tensor) -> Tensor:
    """-(1 / (completions * max_tokens)) * sum: no bias towards length (arXiv:2503.20783)."""
    return -objective.sum() / (inputs.step_completions * inputs.max_tokens)


@dataclass(frozen=True)
class Loss:
    """One method: its objective and how that becomes one number. Parts of a step add up to the whole."""

    objective: Callable[[LossInputs], Objective]
    mean: Callable[[LossInputs, Tensor], Tensor]

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, Tensor]:
        """The loss, and for each token or completion whether the clip holds it back."""
        objective = self.objective(inputs)
        return self.mean(inputs, objective.values), objective.held


LOSSES: dict[str, Loss] = {
    # Shao et al. 2024 (arXiv:2402.03300) with the token-level mean and the wider upper bound of DAPO (arXiv:2503.14476).
    "grpo": Loss(token_objective, per_token),
    # Liu et al. 2025 (arXiv:2503.20783).
    "dr_grpo": Loss(token_objective, per_longest),
    # Ahmadian et al. 2024 (arXiv:2402.14740): a completion is one action; with one inner epoch this is REINFORCE.
    "rloo": Loss(completion_objective, per_completion),
    # Zheng et al. 2025 (arXiv:2507.18071).
    "gspo": Loss(mean_ratio_objective, per_completion),
    # MiniMax 2025 (arXiv:2506.13585).
    "cispo": Loss(weighted_objective, per_token),
    # Schulman et al. 2017 (arXiv:1707.06347), with the group in place of a critic.
    "ppo": Loss(symmetric_objective, per_token),
}


def kl_to_reference(logprobs: Tensor, reference: Tensor) -> Tensor:
    """exp(ref - logp) - (ref - logp) - 1 a token: unbiased for KL(policy || reference), never negative.

    Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    gap = reference - logprobs
    return torch.exp(gap) - gap - 1


def _token_logs(inputs: LossInputs) -> tuple[Tensor, Tensor]:
    """[T]: log ratio of the new policy to the old, log weight of the old to the sampler's."""
    return inputs.logprobs - inputs.old_logprobs, inputs.old_logprobs - inputs.sampler_logprobs


def _sampler_weight(log_weight: Tensor) -> Tensor:
    return torch.exp(log_weight).clamp(max=SAMPLER_WEIGHT_CAP)
