"""Base models of the Llama family (Llama, Mistral, Qwen2, Qwen3; dense) as plain tensors.

A model is read from a Hugging Face directory of safetensors. Projections that share their input are fused (q, k and v; gate
and up), so that a layer is four matrix products. `forward.py` trains on these weights, `worker.rollout.decode` samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from core.errors import JobFailure
from worker.policy.checkpoint_tensors import CheckpointTensors
from worker.policy.products import packed

ARCHITECTURES = frozenset({"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"})

FUSED: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""Our linear layers, and the checkpoint's projections that each is made of, in order."""


class UnsupportedModel(JobFailure):
    """The model's architecture is not one that this engine computes."""

    code = "unsupported_model"


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of a decoder. `rope_frequencies` is [head_dim / 2]."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    layers: int
    vocab: int
    norm_eps: float
    max_len: int
    rope_frequencies: Tensor
    rope_scale: float

    @property
    def part_sizes(self) -> dict[str, tuple[int, ...]]:
        """Output rows of each part of the fused attention projection."""
        return {"qkv": (self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim)}


@dataclass
class Layer:
    """One decoder layer: four fused matrices [out, in], two norms [hidden], and what only some families have."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    attn_norm: Tensor
    mlp_norm: Tensor
    qkv_bias: Tensor | None = None
    q_norm: Tensor | None = None
    k_norm: Tensor | None = None


@dataclass
class Weights:
    """All weights of a decoder. `embed` and `head` are [vocab, hidden], and one tensor where they are tied."""

    config: DecoderConfig
    embed: Tensor
    head: Tensor
    norm: Tensor
    layers: list[Layer]

    def copy_linears(self) -> Weights:
        """The same weights with linear layers in memory of their own: a buffer to merge an adapter into."""
        return replace(
            self, layers=[replace(layer, **{name: getattr(layer, name).clone() for name in FUSED}) for layer in self.layers]
        )

    def packed(self, rows: int) -> Weights:
        """The same weights for sampling so many rows at once: what products read is laid out for them, where that helps."""
        layers = [replace(layer, **{name: packed(getattr(layer, name), rows) for name in FUSED}) for layer in self.layers]
        return replace(self, layers=layers, head=packed(self.head, rows))

    def copy(self, dtype: torch.dtype) -> Weights:
        """The same weights in this type, in memory of their own. Tied matrices stay tied."""

        def fresh(tensor: Any) -> Any:
            return None if tensor is None else tensor.detach().to(dtype, copy=True)

        embed = fresh(self.embed)
        return Weights(
            config=self.config,
            embed=embed,
            head=embed if self.head is self.embed else fresh(self.head),
            norm=fresh(self.norm),
            layers=[Layer(**{field.name: fresh(getattr(layer, field.name)) for field in fields(Layer)}) for layer in self.layers],
        )

    def tensors(self) -> list[Tensor]:
        """Every tensor once, in a fixed order."""
        ends = [self.embed, *([] if self.head is self.embed else [self.head]), self.norm]
        values = (getattr(layer, field.name) for layer in self.layers for field in fields(Layer))
        return [*ends, *(tensor for tensor in values if tensor is not None)]


@dataclass(frozen=True)
class PolicyModel:
    """A loaded base model."""

    directory: Path
    weights: Weights

    @property
    def config(self) -> DecoderConfig:
        """Its shape."""
        return self.weights.config

    @property
    def max_len(self) -> int:
        """Most tokens of prompt and completion together."""
        return self.config.max_len


def load_model(directory: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> PolicyModel:
    """Read a model directory (config.json and safetensors). Raises `UnsupportedModel`."""
    hf_config = AutoConfig.from_pretrained(directory)
    architecture = (hf_config.architectures or ["none"])[0]
    if architecture not in ARCHITECTURES:
        raise UnsupportedModel(
            f"{architecture} is not supported by the torch engine; it computes {', '.join(sorted(ARCHITECTURES))}."
        )
    tensors = CheckpointTensors(directory, device, dtype)
    config = _decoder_config(hf_config, device)
    embed = tensors["model.embed_tokens.weight"]
    return PolicyModel(
        directory,
        Weights(
            config=config,
            embed=embed,
            head=embed if hf_config.tie_word_embeddings else tensors["lm_head.weight"],
            norm=tensors["model.norm.weight"],
            layers=[_layer(tensors, f"model.layers.{i}.") for i in range(config.layers)],
        ),
    )


def _decoder_config(hf: Any, device: str) -> DecoderConfig:
    if getattr(hf, "hidden_act", "silu") != "silu":
        raise UnsupportedModel(f"Activation {hf.hidden_act} is not supported by the torch engine.")
    if getattr(hf, "use_sliding_window", False):
        raise UnsupportedModel("Sliding-window attention is not supported by the torch engine.")
    head_dim = getattr(hf, "head_dim", None) or hf.hidden_size // hf.num_attention_heads
    rope_type = (getattr(hf, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope_type == "default":
        frequencies = 1.0 / hf.rope_parameters["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
        scale = 1.0
    else:
        frequencies, scale = ROPE_INIT_FUNCTIONS[rope_type](hf, torch.device("cpu"))
    return DecoderConfig(
        hidden=hf.hidden_size,
        heads=hf.num_attention_heads,
        kv_heads=hf.num_key_value_heads,
        head_dim=head_dim,
        layers=hf.num_hidden_layers,
        vocab=hf.vocab_size,
        norm_eps=hf.rms_norm_eps,
        max_len=hf.max_position_embeddings,
        rope_frequencies=frequencies.to(device),
        rope_scale=float(scale),
    )


def _layer(tensors: CheckpointTensors, prefix: str) -> Layer:
    def fused(name: str, suffix: str) -> Tensor:
        return torch.cat([tensors[f"{prefix}{part}.{suffix}"] for part in FUSED[name]])

    biased = f"{prefix}self_attn.q_proj.bias" in tensors
    unexpected = [f"{prefix}{part}.bias" for name in ("out", "gate_up", "down") for part in FUSED[name]]
    if any(name in tensors for name in unexpected):
        raise UnsupportedModel("Biases outside the q, k and v projections are not supported by the torch engine.")
    return Layer(
        **{name: fused(name, "weight") for name in FUSED},
        attn_norm=tensors[f"{prefix}input_layernorm.weight"],
        mlp_norm=tensors[f"{prefix}post_attention_layernorm.weight"],
        qkv_bias=fused("qkv", "bias") if biased else None,
        q_norm=tensors.get(f"{prefix}self_attn.q_norm.weight"),
        k_norm=tensors.get(f"{prefix}self_attn.k_norm.weight"),
    )


def named_tensors(weights: Weights) -> Iterator[tuple[str, Tensor]]:
    """The weights under the names of a Hugging Face checkpoint, fused projections taken apart again."""
    sizes = weights.config.part_sizes
    yield "model.embed_tokens.weight", weights.embed
    if weights.head is not weights.embed:
        yield "lm_head.weight", weights.head
    yield "model.norm.weight", weights.norm
    for i, layer in enumerate(weights.layers):
        prefix = f"model.layers.{i}."
        for name, parts in FUSED.items():
            matrix = getattr(layer, name)
            rows = sizes.get(name) or (matrix.shape[0] // len(parts),) * len(parts)
            for part, piece in zip(parts, matrix.split(rows), strict=True):
                yield f"{prefix}{part}.weight", piece
        yield f"{prefix}input_layernorm.weight", layer.attn_norm
        yield f"{prefix}post_attention_layernorm.weight", layer.mlp_norm
        if layer.qkv_bias is not None:
            for part, piece in zip(FUSED["qkv"], layer.qkv_bias.split(sizes["qkv"]), strict=True):
                yield f"{prefix}{part}.bias", piece
        if layer.q_norm is not None and layer.k_norm is not None:
            yield f"{prefix}self_attn.q_norm.weight", layer.q_norm
            yield f"{prefix}self_attn.k_norm.weight", layer.k_norm
