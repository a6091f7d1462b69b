"""The decoder over packed groups: every prompt once, its completions behind it, no padding in the linear layers.

A pack is one sequence [N, hidden] that holds, group by group, a prompt and then its completions. Linear layers see all N
tokens at once; attention runs group by group: the prompt causally over itself, each completion over the prompt and itself.
Gradients of all completions flow through the one computation of their prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from worker.policy.logits import TokenLogprobs
from worker.policy.lora import Adapter, LoraLinear
from worker.policy.model import DecoderConfig, Layer, Weights
from worker.policy.products import product


@dataclass(frozen=True)
class GroupSpan:
    """Where one group lies in a pack: its prompt is [start, start + prompt), its completions follow."""

    start: int
    prompt: int
    lengths_G: tuple[int, ...]
    slots: Tensor
    """For each completion token its place in a padded [G, longest] grid, flattened."""


@dataclass(frozen=True)
class Pack:
    """Tokens and positions [N] of some groups, and where each completion token is predicted from."""

    tokens: Tensor
    positions: Tensor
    groups: tuple[GroupSpan, ...]
    sources: Tensor
    """For each completion token, in order, the place whose hidden state predicts it."""
    targets: Tensor
    """The completion tokens, in order."""


def pack(groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]], device: torch.device | str = "cpu") -> Pack:
    """Lay out (prompt, completions) pairs; a group may have no completions (a prompt to prefill)."""
    tokens: list[int] = []
    positions: list[int] = []
    sources: list[int] = []
    targets: list[int] = []
    spans: list[GroupSpan] = []
    for prompt, completions in groups:
        start, lengths = len(tokens), tuple(len(completion) for completion in completions)
        tokens += prompt
        positions += range(len(prompt))
        last = start + len(prompt) - 1
        for completion in completions:
            sources += [last, *range(len(tokens), len(tokens) + len(completion) - 1)]
            targets += completion
            tokens += completion
            positions += range(len(prompt), len(prompt) + len(completion))
        longest = max(lengths, default=0)
        slots = [g * longest + t for g, length in enumerate(lengths) for t in range(length)]
        spans.append(GroupSpan(start, len(prompt), lengths, torch.tensor(slots, device=device, dtype=torch.long)))

    def long(values: list[int]) -> Tensor:
        return torch.tensor(values, device=device, dtype=torch.long)

    return Pack(long(tokens), long(positions), tuple(spans), long(sources), long(targets))


def rope_table(config: DecoderConfig, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [N, 1, head_dim] of rotary embeddings (Su et al. 2021, arXiv:2104.09864)."""
    angles = positions.to(torch.float32)[:, None] * config.rope_frequencies[None, :]
    angles = torch.cat([angles, angles], dim=-1)[:, None, :]
    return angles.cos() * config.rope_scale, angles.sin() * config.rope_scale


class Rotate(torch.autograd.Function):
    """Apply rotary embeddings to [N, heads, head_dim], in float32 at least. The gradient is turned back by the same angles."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # noqa: D102
        ctx.save_for_backward(cos, sin)
        return Rotate._turn(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        cos, sin = ctx.saved_tensors
        return Rotate._turn(grad, cos, sin, -1.0), None, None

    @staticmethod
    def _turn(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
        half = x.shape[-1] // 2
        turned = x * cos
        turned[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-direction)
        turned[..., half:].addcmul_(x[..., :half], sin[..., half:], value=direction)
        return turned.to(x.dtype)


class GatedSilu(torch.autograd.Function):
    """silu(gate) * up of [N, 2 * intermediate], gate first. Keeps nothing but its input for the gradient."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:  # noqa: D102
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: D102
        (gate_up,) = ctx.saved_tensors
        slopes = torch.empty_like(gate_up)
        (gate, up), (grad_gate, grad_up) = gate_up.chunk(2, dim=-1), slopes.chunk(2, dim=-1)
        torch.mul(grad, F.silu(gate), out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=grad_gate)
        return slopes


def project_qkv(config: DecoderConfig, layer: Layer, qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [N, heads, d] and keys and values [N, kv_heads, d] from the fused projection's output, rotated."""
    if layer.qkv_bias is not None:
        qkv = qkv + layer.qkv_bias
    heads = config.heads, config.kv_heads
    qk, v = qkv.view(qkv.shape[0], -1, config.head_dim).split([sum(heads), config.kv_heads], dim=1)
    if layer.q_norm is not None and layer.k_norm is not None:
        norms = (layer.q_norm, layer.k_norm)
        normed = [
            F.rms_norm(x, (config.head_dim,), norm, config.norm_eps)
            for x, norm in zip(qk.split(heads, dim=1), norms, strict=True)
        ]
        qk = torch.cat(normed, dim=1)
    rotated: Tensor = Rotate.apply(qk, cos, sin)  # type: ignore[no-untyped-call]
    q, k = rotated.split(heads, dim=1)
    return q, k, v


class AdaptedLinear(torch.autograd.Function):
    """x W'^T with the merged W' = W + scale * B A, and gradients for A and B.

    With dY the output's gradient: dX = dY W', dB = scale * dY^T (X A^T), dA = scale * (dY B)^T X. The merged matrix is the one
    that sampling uses, so sampler and trainer cannot drift apart, and the adapter costs nothing in the forward pass. A and B stay
    in float32 and are rounded to the type of X where that is another.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, merged: Tensor, scale: float, a: Tensor, *b: Tensor) -> Tensor:  # noqa: D102
        ctx.save_for_backward(x, merged, a, *b)
        ctx.scale = scale
        return product(x, merged)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, merged, *adapter = ctx.saved_tensors
        a, *b = (matrix.to(x.dtype) for matrix in adapter)
        low_parts = (x @ a.T).split(b[0].shape[1], dim=1)
        grad_parts = grad.split([part.shape[0] for part in b], dim=1)
        grad_low = torch.cat([piece @ part for piece, part in zip(grad_parts, b, strict=True)], dim=1)
        grad_b = [(piece.T @ low).mul_(ctx.scale) for piece, low in zip(grad_parts, low_parts, strict=True)]
        grad_x = product(grad, merged.T) if ctx.needs_input_grad[0] else None
        grad_a = (grad_low.T @ x).mul_(ctx.scale)
        return grad_x, None, None, *(slope.to(matrix.dtype) for slope, matrix in zip((grad_a, *grad_b), adapter, strict=True))


class _ToGrid(torch.autograd.Function):
    """Completion tokens [n, ...] to a zero-padded grid; the slots are distinct, so both directions are plain copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slots: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(slots)
        return x.new_zeros(size, *x.shape[1:]).index_copy_(0, slots, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slots,) = ctx.saved_tensors
        return grad.index_select(0, slots), None, None


class _FromGrid(torch.autograd.Function):
    """The inverse of `_ToGrid`."""

    @staticmethod
    def forward(ctx: Any, grid: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.size = grid.shape[0]
        return grid.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slots,) = ctx.saved_tensors
        return grad.new_zeros(ctx.size, *grad.shape[1:]).index_copy_(0, slots, grad), None


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of [B, T, heads, d] queries over [B, S, kv_heads, d]: causal without a mask. Returns [B, T, heads * d]."""
    repeat = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(repeat, dim=2).transpose(1, 2) for x in (k, v))
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=mask, is_causal=mask is None)
    return out.transpose(1, 2).flatten(2)


def _completion_mask(prompt: int, longest: int, like: Tensor) -> Tensor:
    """[longest, prompt + longest], additive: a completion sees its prompt and its own past. Padding lies in nobody's past."""
    mask = like.new_zeros(longest, prompt + longest)
    mask[:, prompt:].masked_fill_(torch.ones(longest, longest, dtype=torch.bool, device=like.device).triu(1), float("-inf"))
    return mask


def attention(packed: Pack, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention over a pack: [N, heads * d]."""
    outputs = []
    sizes = [size for span in packed.groups for size in (span.prompt, sum(span.lengths_G))]
    parts = iter(zip(*(x.split(sizes) for x in (q, k, v)), strict=True))
    for span in packed.groups:
        prompt, completions = next(parts), next(parts)
        prompt_q, prompt_k, prompt_v = (x[None] for x in prompt)
        outputs.append(_attend(prompt_q, prompt_k, prompt_v, None)[0])
        group, longest = len(span.lengths_G), max(span.lengths_G, default=0)
        if not longest:
            continue

        def grid(x: Tensor, span: GroupSpan = span, group: int = group, longest: int = longest) -> Tensor:
            flat: Tensor = _ToGrid.apply(x, span.slots, group * longest)  # type: ignore[no-untyped-call]
            return flat.view(group, longest, *x.shape[1:])

        keys, values = (
            torch.cat([shared[None].expand(group, -1, -1, -1), grid(own)], dim=1)
            for shared, own in zip(prompt[1:], completions[1:], strict=True)
        )
        out = _attend(grid(completions[0]), keys, values, _completion_mask(span.prompt, longest, q))
        outputs.append(_FromGrid.apply(out.reshape(group * longest, -1), span.slots))  # type: ignore[no-untyped-call]
    return torch.cat(outputs)


def decoder_layer(
    config: DecoderConfig,
    layer: Layer,
    x: Tensor,
    packed: Pack,
    rope: tuple[Tensor, Tensor],
    *,
    loras: dict[str, LoraLinear] | None = None,
    scale: float = 1.0,
    cache: list[tuple[Tensor, Tensor]] | None = None,
) -> Tensor:
    """One layer over the hidden states [N, hidden] of a pack. With `loras` (already merged into `layer`) it trains them alone."""

    def linear(x: Tensor, name: str) -> Tensor:
        matrix = getattr(layer, name)
        if loras is None:
            return F.linear(x, matrix) if torch.is_grad_enabled() else product(x, matrix)
        out: Tensor = AdaptedLinear.apply(x, matrix, scale, loras[name].a, *loras[name].b)  # type: ignore[no-untyped-call]
        return out

    normed = F.rms_norm(x, (config.hidden,), layer.attn_norm, config.norm_eps)
    q, k, v = project_qkv(config, layer, linear(normed, "qkv"), *rope)
    if cache is not None:
        cache.append((k, v))
    x = x + linear(attention(packed, q, k, v), "out")
    gate_up = linear(F.rms_norm(x, (config.hidden,), layer.mlp_norm, config.norm_eps), "gate_up")
    inner: Tensor = GatedSilu.apply(gate_up)  # type: ignore[no-untyped-call]
    return x + linear(inner, "down")


def hidden_states(
    weights: Weights,
    packed: Pack,
    adapter: Adapter | None = None,
    cache: list[tuple[Tensor, Tensor]] | None = None,
    *,
    recompute: bool = False,
) -> Tensor:
    """Final hidden states [N, hidden] of a pack.

    With an adapter (already merged into `weights`) the result carries gradients for it. A `cache` list receives every layer's
    keys and values [N, kv_heads, d]. `recompute` keeps one hidden state a layer for the gradient and computes the rest again.
    """
    config = weights.config
    rope = rope_table(config, packed.positions)
    x = F.embedding(packed.tokens, weights.embed)
    for i, layer in enumerate(weights.layers):
        loras, scale = (None, 1.0) if adapter is None else (adapter.layers[i], adapter.scale)
        compute = partial(decoder_layer, config, layer, packed=packed, rope=rope, loras=loras, scale=scale, cache=cache)
        x = checkpoint(compute, x, use_reentrant=False, preserve_rng_state=False) if recompute else compute(x)
    return F.rms_norm(x, (config.hidden,), weights.norm, config.norm_eps)


def completion_logprobs(
    weights: Weights, packed: Pack, temperature: float, adapter: Adapter | None = None, *, recompute: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every completion token of a pack, in order, at a temperature."""
    hidden = hidden_states(weights, packed, adapter, recompute=recompute)[packed.sources]
    result: tuple[Tensor, Tensor] = TokenLogprobs.apply(hidden, weights.head, packed.targets, temperature)  # type: ignore[no-untyped-call]
    return result
