"""The LoRA policy: base weights that stay as they are, and an adapter that is trained."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from worker.policy.forward import Pack, completion_logprobs
from worker.policy.lora import Adapter
from worker.policy.model import PolicyModel, Weights
from worker.policy.ranks import ALONE, Ranks
from worker.policy.trained import TrainedPolicy, UpdateConfig


class LoraPolicy(TrainedPolicy):
    """`merged` is base plus adapter."""

    def __init__(self, model: PolicyModel, adapter: Adapter, config: UpdateConfig, ranks: Ranks = ALONE) -> None:
        """Of several processes each holds the whole policy, and all make the same steps."""
        super().__init__(model, adapter.parameters(), config, ranks)
        self.adapter = adapter
        self.merged: Weights = model.weights.copy_linears()
        self._refresh()

    @classmethod
    def fresh(
        cls, model: PolicyModel, *, rank: int, alpha: float, seed: int, config: UpdateConfig, ranks: Ranks = ALONE
    ) -> LoraPolicy:
        """A policy that equals its base model; `seed` decides the adapter's first values."""
        generator = torch.Generator().manual_seed(seed)
        return cls(model, Adapter.fresh(model.weights, rank, alpha, generator), config, ranks)

    def save_checkpoint(self, directory: Path) -> None:
        """See `PolicyTrainer.save_checkpoint`: the adapter."""
        self.adapter.write(directory, self.model.directory.name)

    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`: the adapter as its own files, and how the update stands beside it."""
        if self._ranks.leads:
            self.save_checkpoint(directory)
        self._save_progress(directory)

    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`."""
        stored = Adapter.read(directory, self.model.weights).parameters()
        with torch.no_grad():
            for parameter, value in zip(self._parameters, stored, strict=True):
                parameter.copy_(value)
        self._load_progress(directory)
        self._refresh()

    def _logprobs(self, packed: Pack, temperature: float) -> tuple[Tensor, Tensor]:
        return completion_logprobs(self.merged, packed, temperature, self.adapter, recompute=self._config.recompute)

    @torch.no_grad()
    def _reference(self, packed: Pack, temperature: float) -> Tensor:
        return completion_logprobs(self.model.weights, packed, temperature)[0]

    def _refresh(self) -> None:
        self.adapter.merge(self.model.weights, self.merged)
