"""Low-rank adapters on every linear layer (Hu et al. 2021, arXiv:2106.09685), read and written as `peft` does.

At run time an adapter is never a separate branch: `merge` writes `W + alpha / rank * B A` into a second buffer, always from
the pristine base, and sampling and training compute with that buffer. Gradients of A and B come from `forward.AdaptedLinear`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from worker.policy.checkpoint_tensors import CheckpointTensors
from worker.policy.model import FUSED, Weights

ADAPTER_CONFIG = "adapter_config.json"
_PREFIX = "base_model.model.model.layers"


@dataclass
class LoraLinear:
    """The adapter of one fused linear layer: A is [parts * rank, in], each B is [out of its part, rank]."""

    a: Tensor
    b: list[Tensor]

    def merge(self, pristine: Tensor, scale: float, into: Tensor) -> None:
        """Write the fused matrix [out, in] plus scale * B A."""
        sizes, rank = [len(part) for part in self.b], self.b[0].shape[1]
        parts = zip(pristine.split(sizes), self.b, self.a.split(rank), into.split(sizes), strict=True)
        for base, b, a, merged in parts:
            _add(base, b, a, scale, merged)


@dataclass
class Adapter:
    """One `LoraLinear` for every fused matrix of every layer."""

    rank: int
    alpha: float
    layers: list[dict[str, LoraLinear]]

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / self.rank

    @classmethod
    def fresh(cls, weights: Weights, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
        """A random (uniform as in peft's default: +- 1/sqrt(in)), B zero: the merged model starts as the base."""

        def linear(name: str, matrix: Tensor) -> LoraLinear:
            inputs = matrix.shape[1]
            a = (torch.rand(len(FUSED[name]) * rank, inputs, generator=generator) * 2 - 1) * inputs**-0.5
            b = [torch.zeros(size, rank, device=matrix.device) for size in _part_sizes(weights, name, matrix)]
            return LoraLinear(a.to(matrix.device), b)

        return cls(rank, alpha, [{name: linear(name, getattr(layer, name)) for name in FUSED} for layer in weights.layers])

    def parameters(self) -> list[Tensor]:
        """Every A and B, in a fixed order."""
        return [tensor for layer in self.layers for linear in layer.values() for tensor in (linear.a, *linear.b)]

    @torch.no_grad()
    def merge(self, base: Weights, into: Weights) -> None:
        """Write base + adapter into the linear layers of `into`. From the pristine base: undoing a merge loses bits."""
        for pristine, merged, adapters in zip(base.layers, into.layers, self.layers, strict=True):
            for name, linear in adapters.items():
                linear.merge(getattr(pristine, name), self.scale, getattr(merged, name))

    def named(self) -> dict[str, Tensor]:
        """Tensors under peft's names, one A and B for each of the checkpoint's projections."""
        tensors = {}
        for i, layer in enumerate(self.layers):
            for name, linear in layer.items():
                for part, a, b in zip(FUSED[name], linear.a.detach().split(self.rank), linear.b, strict=True):
                    tensors[f"{_PREFIX}.{i}.{part}.lora_A.weight"] = a.contiguous()
                    tensors[f"{_PREFIX}.{i}.{part}.lora_B.weight"] = b.detach().contiguous()
        return tensors

    def write(self, directory: Path, base_model: str) -> None:
        """`adapter_config.json` and `adapter_model.safetensors`, as `peft.PeftModel.from_pretrained` reads them."""
        directory.mkdir(parents=True, exist_ok=True)
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_model,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": True,
            "target_modules": sorted(part.rsplit(".", 1)[-1] for parts in FUSED.values() for part in parts),
        }
        (directory / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        tensors = {name: tensor.cpu() for name, tensor in self.named().items()}
        (directory / "adapter_model.safetensors").write_bytes(save(tensors))

    @classmethod
    def read(cls, directory: Path, weights: Weights) -> Adapter:
        """The inverse of `write`, for a base of the same shape."""
        config = json.loads((directory / ADAPTER_CONFIG).read_text())
        tensors = load_file(directory / "adapter_model.safetensors", device=str(weights.embed.device))

        def linear(i: int, name: str) -> LoraLinear:
            prefixes = [f"{_PREFIX}.{i}.{part}" for part in FUSED[name]]
            a = torch.cat([tensors[f"{prefix}.lora_A.weight"] for prefix in prefixes])
            return LoraLinear(a, [tensors[f"{prefix}.lora_B.weight"] for prefix in prefixes])

        layers = [{name: linear(i, name) for name in FUSED} for i in range(len(weights.layers))]
        return cls(int(config["r"]), float(config["lora_alpha"]), layers)


def _part_sizes(weights: Weights, name: str, matrix: Tensor) -> tuple[int, ...]:
    parts = len(FUSED[name])
    return weights.config.part_sizes.get(name) or (matrix.shape[0] // parts,) * parts


def merged_tensors(base: Path, adapter: Path, device: str | torch.device, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """A base model plus an adapter as `peft` writes it, under the checkpoint's names: the same bits as `Adapter.merge` gives.

    Tensors of layers without an adapter are left out.
    """
    config = json.loads((adapter / ADAPTER_CONFIG).read_text())
    scale = config["lora_alpha"] / config["r"]
    low = load_file(adapter / "adapter_model.safetensors", device=str(device))
    tensors = CheckpointTensors(base, device, dtype)
    for name, tensor in tensors.read(name for name in tensors if f"{_adapted(name)}.lora_A.weight" in low):
        a, b = (low[f"{_adapted(name)}.lora_{factor}.weight"] for factor in "AB")
        yield name, _add(tensor, b, a, scale, torch.empty_like(tensor)) if name.endswith(".weight") else tensor


def _adapted(name: str) -> str:
    """What `peft` calls the layer of a checkpoint's tensor."""
    return f"base_model.model.{name.rpartition('.')[0]}"


def _add(base: Tensor, b: Tensor, a: Tensor, scale: float, into: Tensor) -> Tensor:
    if base.dtype == a.dtype:
        return torch.addmm(base, b, a, alpha=scale, out=into)
    return torch.add(base, b @ a, alpha=scale, out=into)  # the sum is rounded, and not the adapter
