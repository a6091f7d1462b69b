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
    """What one update did, in means over its completion tokens unless said otherwise. What is not a finite number is None."""

    loss: float | None
    policy_loss: float | None
    kl: float | None
    """To the reference policy; 0 where its weight is 0 and it is not computed."""
    entropy: float | None
    clip_fraction: float
    """Share of what the loss clips (tokens, or whole completions) that its clip held back."""
    ratio_max: float | None
    """The largest |log ratio| between trainer and sampler before the update."""
    grad_norm: float | None
    """Before clipping."""
    tokens: int
    skipped: bool
    """No group carried a gradient, or loss or gradient were not finite: the weights stay as they were. With several inner epochs,
    those from the first that is not finite are left out."""
    not_finite: bool = False
    """Loss or gradient were not finite."""
    micro_batch_tokens: tuple[int, ...] = ()
    """Where the passes over the samples were cut, one number a pass. Decides the last bits."""


class PolicyTrainer(Protocol):
    """Owns the trained weights."""

    def update(self, groups_P: Sequence[TrainGroup], temperature: float, cuts: Sequence[int] = ()) -> UpdateStats:
        """One optimizer step. Deterministic on CPU: the same groups in the same order give the same bits.

        An update that is done again is given the `micro_batch_tokens` of the first time as `cuts`: then its bits are the same
        also where memory was short. Raises `OutOfMemory` where not even single completions fit.
        """

    def save_checkpoint(self, directory: Path) -> None:
        """Write what others load: an adapter as `peft` does, or a whole model as `transformers` does."""

    def save_state(self, directory: Path) -> None:
        """Write all that `load_state` needs to go on bit by bit: safetensors and JSON only."""

    def load_state(self, directory: Path) -> None:
        """The inverse of `save_state`."""
