"""Full fine-tuning over several processes: weights, gradients and moments are spread over them (FSDP2, `fully_shard`).

The idea is that of Zhao et al. 2023 (arXiv:2304.11277), the implementation torch's. Every process holds the whole weights once
more, of which the leading one keeps those for sampling and for files up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.utils.checkpoint import checkpoint

from worker.policy.export import write_merged
from worker.policy.figures import PassFigures
from worker.policy.forward import Pack, decoder_layer, pack, rope_table
from worker.policy.full_policy import WEIGHTS_FILE
from worker.policy.logits import TokenLogprobs
from worker.policy.model import DecoderConfig, Layer, PolicyModel, Weights
from worker.policy.ranks import Ranks, spread_as, whole
from worker.policy.trained import Part, TrainedPolicy, UpdateConfig, UpdateStep


class ShardedPolicy(TrainedPolicy):
    """As `FullPolicy`, with which it has states and checkpoints in common. All processes make the same calls.

    `merged` is current at the leading one.
    """

    def __init__(self, model: PolicyModel, config: UpdateConfig, ranks: Ranks, start: Weights | None = None) -> None:
        """Every process has read the whole model; what it holds afterwards is its share."""
        dtype, device = model.weights.embed.dtype, model.weights.embed.device
        self._decoder = _sharded(_Decoder((start or model.weights).copy(torch.float32)), device, dtype, config.recompute)
        self._reference_decoder = (
            _sharded(_Decoder(model.weights.copy(torch.float32)), device, dtype, recompute=False) if config.kl_coef > 0 else None
        )
        self.merged = (start or model.weights).copy(dtype)
        super().__init__(replace(model, weights=self.merged), self._decoder.tensors(), config, ranks)

    def save_checkpoint(self, directory: Path) -> None:
        """See `PolicyTrainer.save_checkpoint`: the whole model."""
        write_merged(self.model, self.merged, directory)

    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`."""
        parameters = {str(i): whole(parameter.detach()) for i, parameter in enumerate(self._parameters)}
        if self._ranks.leads:
            directory.mkdir(parents=True, exist_ok=True)
            save_file(parameters, directory / WEIGHTS_FILE)
        self._save_progress(directory)

    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`."""
        stored = load_file(directory / WEIGHTS_FILE, device=str(self._device))
        with torch.no_grad():
            for i, parameter in enumerate(self._parameters):
                parameter.copy_(spread_as(stored[str(i)], parameter))
        self._load_progress(directory)
        self._refresh()

    def _one_pass(self, parts: Sequence[Part], step: UpdateStep, old: Tensor | None) -> tuple[PassFigures, Tensor]:
        """Layers are gathered from all processes at each part, so that all must have the same number of parts."""
        idle = int(self._ranks.most([len(parts)])[0]) - len(parts)
        done = super()._one_pass(parts, step, old)
        for _ in range(idle):
            packed = pack([((0,), ((0,),))], self._device)
            logprobs, _ = self._logprobs(packed, step.temperature)
            if self._reference_decoder is not None:
                self._reference(packed, step.temperature)
            (logprobs.sum() * 0).backward()
        return done

    def _sum_gradients(self) -> None:
        """Done with each part's backward pass."""

    def _logprobs(self, packed: Pack, temperature: float) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = self._decoder(packed, temperature)
        return result

    @torch.no_grad()
    def _reference(self, packed: Pack, temperature: float) -> Tensor:
        assert self._reference_decoder is not None, "the reference is kept where its divergence has a weight"
        reference: Tensor = self._reference_decoder(packed, temperature)[0]
        return reference

    @torch.no_grad()
    def _refresh(self) -> None:
        for parameter, tensor in zip(self._parameters, self.merged.tensors(), strict=True):
            gathered = whole(parameter)
            if self._ranks.leads:
                tensor.copy_(gathered)


class _Layer(nn.Module):
    """A `Layer` whose tensors are parameters."""

    def __init__(self, config: DecoderConfig, layer: Layer) -> None:
        super().__init__()
        self.config = config
        for field in fields(Layer):
            tensor = getattr(layer, field.name)
            self.register_parameter(field.name, None if tensor is None else nn.Parameter(tensor))

    def forward(self, x: Tensor, packed: Pack, rope: tuple[Tensor, Tensor]) -> Tensor:
        return decoder_layer(self.config, cast(Layer, self), x, packed, rope)


class _Decoder(nn.Module):
    """`completion_logprobs` as a module."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.config, self.recompute = weights.config, False
        self.embed = nn.Parameter(weights.embed)
        self.head = None if weights.head is weights.embed else nn.Parameter(weights.head)
        self.norm = nn.Parameter(weights.norm)
        self.layers = nn.ModuleList(_Layer(weights.config, layer) for layer in weights.layers)

    def tensors(self) -> list[Tensor]:
        """The parameters in the order of `Weights.tensors`."""
        ends = [self.embed, *([] if self.head is None else [self.head]), self.norm]
        values = (getattr(layer, field.name) for layer in self.layers for field in fields(Layer))
        return [*ends, *(tensor for tensor in values if tensor is not None)]

    def forward(self, packed: Pack, temperature: float) -> tuple[Tensor, Tensor]:
        rope = rope_table(self.config, packed.positions)
        x = F.embedding(packed.tokens, self.embed)
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(layer, x, packed, rope, use_reentrant=False, preserve_rng_state=False)
            else:
                x = layer(x, packed, rope)
        hidden = F.rms_norm(x, (self.config.hidden,), self.norm, self.config.norm_eps)[packed.sources]
        head = self.embed if self.head is None else self.head
        result: Any = TokenLogprobs.apply(hidden, head, packed.targets, temperature)  # type: ignore[no-untyped-call]
        return cast(tuple[Tensor, Tensor], result)


def _sharded(decoder: _Decoder, device: torch.device, dtype: torch.dtype, recompute: bool) -> _Decoder:
    """Spread over all processes, layer by layer; computes in `dtype`, and adds gradients up in float32, as a sum and no mean."""
    decoder.recompute = recompute
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    precision = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for module in (*decoder.layers, decoder):
        spread = fully_shard(module, mesh=mesh, mp_policy=precision)
        spread.set_gradient_divide_factor(1.0)
        spread.set_force_sum_reduction_for_comms(True)
    return decoder
