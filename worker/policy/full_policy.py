"""Full fine-tuning: every weight is trained.

Memory a parameter, in bytes: float32 weights, their gradient and the optimizer's two moments, 16; in bfloat16 the copy that
computes and a gradient of that one, 4 more; the base model where the divergence from it is measured, 4 (bfloat16: 2).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.policy.export import write_merged
from worker.policy.forward import Pack, completion_logprobs
from worker.policy.model import PolicyModel, Weights
from worker.policy.trained import TrainedPolicy, UpdateConfig

WEIGHTS_FILE = "weights.safetensors"
"""Of a training state: the float32 weights, by their number."""


class FullPolicy(TrainedPolicy):
    """`merged` is the trained weights, or in bfloat16 their rounded copy: small steps add up in float32 only."""

    def __init__(self, model: PolicyModel, config: UpdateConfig, start: Weights | None = None) -> None:
        """Train on from `start`, by default the base `model` itself, which stays as it is and is held only as the reference."""
        self._trained = (start or model.weights).copy(torch.float32)
        computes_in = model.weights.embed.dtype
        self.merged = self._trained if computes_in is torch.float32 else self._trained.copy(computes_in)
        super().__init__(replace(model, weights=self.merged), self._trained.tensors(), config)
        self._computing = self.merged.tensors()
        for tensor in self._computing:
            tensor.requires_grad_(True)
        self._reference_model = model.weights if config.kl_coef > 0 else None

    def save_checkpoint(self, directory: Path) -> None:
        """See `PolicyTrainer.save_checkpoint`: the whole model."""
        write_merged(self.model, self.merged, directory)

    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`: the float32 weights, and how the update stands beside them."""
        directory.mkdir(parents=True, exist_ok=True)
        save_file({str(i): tensor.detach() for i, tensor in enumerate(self._parameters)}, directory / WEIGHTS_FILE)
        self._save_progress(directory)

    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`."""
        stored = load_file(directory / WEIGHTS_FILE, device=str(self.merged.embed.device))
        with torch.no_grad():
            for i, parameter in enumerate(self._parameters):
                parameter.copy_(stored[str(i)])
        self._load_progress(directory)
        self._refresh()

    def _logprobs(self, packed: Pack, temperature: float) -> tuple[Tensor, Tensor]:
        return completion_logprobs(self.merged, packed, temperature, recompute=self._config.recompute)

    def _differentiate(self, loss: Tensor) -> None:
        loss.backward()
        if self.merged is self._trained:
            return
        # Gradients of a rounded copy add up in float32.
        for parameter, computing in zip(self._parameters, self._computing, strict=True):
            if computing.grad is not None:
                gradient = computing.grad.to(parameter.dtype)
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
                computing.grad = None

    @torch.no_grad()
    def _reference(self, packed: Pack, temperature: float) -> Tensor:
        assert self._reference_model is not None, "the reference is kept where its divergence has a weight"
        return completion_logprobs(self._reference_model, packed, temperature)[0]

    @torch.no_grad()
    def _refresh(self) -> None:
        if self.merged is not self._trained:
            for parameter, computing in zip(self._parameters, self._computing, strict=True):
                computing.copy_(parameter)
