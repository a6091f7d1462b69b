"""What all kinds of policy share: the update of their parameters, one optimizer step at a time."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.failpoints import hit
from core.lifeline import mark_progress
from worker.policy.base import TrainGroup, UpdateStats
from worker.policy.figures import PassFigures, update_stats
from worker.policy.forward import Pack, completion_logprobs, pack
from worker.policy.losses import LOSSES, LossInputs, kl_to_reference
from worker.policy.memory import OutOfMemory, is_out_of_memory
from worker.policy.micro_batches import completion_tokens, group_tokens, micro_batches
from worker.policy.model import PolicyModel, Weights
from worker.policy.optimizer import Optimizer
from worker.policy.ranks import ALONE, Ranks, whole

Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Prompts and completions."""
Part = Sequence[TrainGroup]

MICRO_BATCH_TOKENS = 1024
"""Tokens of one forward and backward pass: bounds activations (about 1.2 MB a token for a 135M model in float32)."""
GRADIENT_CLIP = 1.0
"""Largest gradient norm of a step."""
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class UpdateConfig:
    """Constants of the update."""

    learning_rate: float
    loss: str = "grpo"
    kl_coef: float = 0.0
    clip_low: float = 0.2
    clip_high: float = 0.28
    inner_epochs: int = 1
    max_tokens: int = 256
    recompute: bool = False
    """Activation checkpointing: keep one hidden state a layer for the gradient, and compute the layers again for it."""


class TrainedPolicy(ABC):
    """Implements `PolicyTrainer` but for what is trained, and how that is stored."""

    merged: Weights
    """The weights that sampling uses; current after every update."""

    def __init__(self, model: PolicyModel, parameters: Sequence[Tensor], config: UpdateConfig, ranks: Ranks = ALONE) -> None:
        self.model = model
        self._ranks = ranks
        self._device = model.weights.embed.device
        self._config = config
        self._parameters = list(parameters)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._optimizer = Optimizer(self._parameters, config.learning_rate)
        self._micro_batch_tokens = MICRO_BATCH_TOKENS

    def update(self, groups_P: Sequence[TrainGroup], temperature: float, cuts: Sequence[int] = ()) -> UpdateStats:
        """See `PolicyTrainer.update`. Groups without a non-zero advantage carry no gradient and are not computed.

        Of several processes each is given the whole step, and computes its share of the groups.
        """
        live = [group for group in groups_P if any(group.advantages_G)]
        step = UpdateStep(completion_tokens(groups_P), sum(len(group.completions_G) for group in groups_P), temperature)
        mine = self._ranks.share(live)
        old: Tensor | None = None
        passes: list[PassFigures] = []
        used: list[int] = []
        for number in range(self._config.inner_epochs if live else 0):
            if number < len(cuts):
                self._micro_batch_tokens = cuts[number]
            figures, logprobs = self._add_gradients(mine, step, old)
            old = logprobs if old is None else old
            self._sum_gradients()
            self._ranks.total(figures)
            figures.grad_norm = float(whole(torch.nn.utils.clip_grad_norm_(self._parameters, GRADIENT_CLIP)))
            passes.append(figures)
            used.append(self._micro_batch_tokens)
            if not figures.finite:
                break
            hit("mid_update")
            self._optimizer.step()
            self._refresh()
        self._optimizer.zero_grad()
        return update_stats(passes, tokens=step.tokens, cuts=tuple(used))

    def _add_gradients(self, mine: Part, step: UpdateStep, old: Tensor | None) -> tuple[PassFigures, Tensor]:
        """One pass over the samples; it starts afresh in smaller parts, at all processes, where memory does not suffice."""
        while True:
            self._optimizer.zero_grad()
            parts = list(micro_batches(mine, self._micro_batch_tokens))
            done, too_large, is_smallest = None, 0, False
            try:
                done = self._one_pass(parts, step, old)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                too_large = max(sum(map(group_tokens, part)) for part in parts)
                is_smallest = all(len(part) == 1 and len(part[0].completions_G) == 1 for part in parts)
            # Behind the handler: until its end the error holds what was computed.
            too_large, hopeless = map(int, self._ranks.most([too_large, is_smallest]))
            if hopeless:
                raise OutOfMemory(
                    f"The gradient of single completions does not fit in memory; the longest has {too_large} tokens with its "
                    "prompt. Lower touchstone.max_completion_tokens, shorten the prompts, or let the operator turn on "
                    "RFT_ACTIVATION_CHECKPOINTING."
                )
            if done and not too_large:
                return done
            self._micro_batch_tokens = min(self._micro_batch_tokens, too_large) // 2

    def _one_pass(self, parts: Sequence[Part], step: UpdateStep, old: Tensor | None) -> tuple[PassFigures, Tensor]:
        """Add all gradients; also the log-probabilities now. `old` are those before the update, None in the first pass."""
        figures = PassFigures()
        before = [None] * len(parts) if old is None else old.split([completion_tokens(part) for part in parts])
        logprobs = [self._backward(part, step, figures, b) for part, b in zip(parts, before, strict=True)]
        return figures, torch.cat(logprobs) if logprobs else torch.empty(0, device=self._device)

    def _backward(self, part: Part, step: UpdateStep, figures: PassFigures, old: Tensor | None) -> Tensor:
        mark_progress()
        config, device = self._config, self._device
        packed = pack([(group.prompt_T, group.completions_G) for group in part], device)
        logprobs, entropy = self._logprobs(packed, step.temperature)
        inputs = LossInputs(
            logprobs=logprobs,
            old_logprobs=logprobs.detach() if old is None else old,
            sampler_logprobs=torch.tensor([x for group in part for row in group.logprobs_G for x in row], device=device),
            advantages=torch.tensor([advantage for group in part for advantage in group.advantages_G], device=device),
            lengths=torch.tensor([len(completion) for group in part for completion in group.completions_G], device=device),
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            step_tokens=step.tokens,
            step_completions=step.completions,
            max_tokens=config.max_tokens,
        )
        policy_loss, held = LOSSES[config.loss](inputs)
        loss, kl = policy_loss, None
        if config.kl_coef > 0:
            kl = kl_to_reference(logprobs, self._reference(packed, step.temperature)).sum() / step.tokens
            loss = policy_loss + config.kl_coef * kl
        self._differentiate(loss)
        figures.count(inputs, policy_loss, loss, kl, entropy, held)
        return logprobs.detach()

    @torch.no_grad()
    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        """Log-probability of every token of some completions, each after its prompt, as sampling at the temperature gives."""
        packed = pack([(prompt, [completion]) for prompt, completion in sequences], self.merged.embed.device)
        logprobs, _ = completion_logprobs(self.merged, packed, temperature)
        return [part.tolist() for part in logprobs.split([len(completion) for _, completion in sequences])]

    def _save_progress(self, directory: Path) -> None:
        self._optimizer.save(directory, write=self._ranks.leads)
        if not self._ranks.leads:
            return
        (directory / _PROGRESS).write_text(json.dumps({"micro_batch_tokens": self._micro_batch_tokens}) + "\n")

    def _load_progress(self, directory: Path) -> None:
        self._optimizer.load(directory)
        self._micro_batch_tokens = MICRO_BATCH_TOKENS
        if (progress := directory / _PROGRESS).exists():  # states of earlier versions do not have it
            self._micro_batch_tokens = json.loads(progress.read_text())["micro_batch_tokens"]

    @abstractmethod
    def save_checkpoint(self, directory: Path) -> None:
        """See `PolicyTrainer.save_checkpoint`."""

    @abstractmethod
    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`."""

    @abstractmethod
    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`."""

    @abstractmethod
    def _logprobs(self, packed: Pack, temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probabilities with gradients for the parameters, and entropies, of a pack's completion tokens."""

    @abstractmethod
    def _reference(self, packed: Pack, temperature: float) -> Tensor:
        """Log-probabilities under the policy that the divergence is measured from, without gradients."""

    @abstractmethod
    def _refresh(self) -> None:
        """Bring `merged` up to the parameters."""

    def _sum_gradients(self) -> None:
        """Add the gradients of all processes up."""
        self._ranks.add_gradients(self._parameters)

    def _differentiate(self, loss: Tensor) -> None:
        """Add the loss's gradient to the parameters'."""
        loss.backward()


@dataclass(frozen=True)
class UpdateStep:
    """What every part of a step is divided by: all its completion tokens, all its completions."""

    tokens: int
    completions: int
    temperature: float
