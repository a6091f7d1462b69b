"""The seam of learning: graded completions in, a better policy out. Knows no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class TrainGroup:
    """All samples of one prompt that take part in an update, with their advantages."""

    prompt_T: tuple[int, ...]
    completions_G: tuple[tuple[int, ...], ...]
    logprobs_G: tuple[tuple[float, ...], ...]
    """The sampler's log-probability of each completion token."""
    advantages_G: tuple[float, ...]


@dataclass(frozen=True)
class UpdateStats:
    """What one update did, in means over its completion tokens unless said otherwise."""

    loss: float
    policy_loss: float
    kl: float
    """To the reference policy; 0 where its weight is 0 and it is not computed."""
    entropy: float
    clip_fraction: float
    """Share of what the loss clips (tokens, or whole completions) that its clip held back."""
    ratio_max: float
    """The largest |log ratio| between trainer and sampler before the update."""
    grad_norm: float
    """Before clipping."""
    tokens: int
    skipped: bool
    """No group carried a gradient, or the gradient was not finite: the weights stay as they were."""


class PolicyTrainer(Protocol):
    """Owns the trained weights."""

    def update(self, groups_P: Sequence[TrainGroup], temperature: float) -> UpdateStats:
        """One optimizer step. Deterministic on CPU: the same groups in the same order give the same bits."""

    def save_adapter(self, directory: Path) -> None:
        """Write the adapter as `peft` loads it."""

    def save_state(self, directory: Path) -> None:
        """Write all that `load_state` needs to go on bit by bit: safetensors and JSON only."""

    def load_state(self, directory: Path) -> None:
        """The inverse of `save_state`."""
