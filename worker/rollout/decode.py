"""Token-by-token sampling of a batch: prompts computed once a group, keys and values in a static cache, finished rows leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from worker.policy.forward import hidden_states, pack, project_qkv, rope_table
from worker.policy.model import Weights
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.draw import RowUniforms, draw

_PREFILL_TOKENS = 4096
"""Prompt tokens computed at once."""
_GROWTH = 64
"""Columns by which the cache grows, at least."""
_SHRINK = 0.8
"""Finished rows are taken out of the cache when no more than this share is left: a copy of the cache pays for itself then."""


@dataclass(frozen=True)
class Drawn:
    """One position's tokens, for the rows still active: row indexes over all groups' members, flattened in order."""

    rows: list[int]
    tokens: list[int]
    logprobs: list[float]


class _Cache:
    """Keys and values [rows, kv_heads, columns, d] a layer. Prompts end at the same column, padded on the left."""

    def __init__(self, weights: Weights, rows: int, prompt_columns: int, capacity: int) -> None:
        config = weights.config
        shape = (rows, config.kv_heads, prompt_columns + capacity, config.head_dim)
        self.layers = [(weights.embed.new_zeros(shape), weights.embed.new_zeros(shape)) for _ in weights.layers]
        self.mask = weights.embed.new_zeros(rows, 1, 1, shape[2])
        self.columns = prompt_columns

    def fill(self, layer: int, row: slice, k: Tensor, v: Tensor) -> None:
        """Put a prompt's keys and values [P, kv_heads, d] into the rows of its group."""
        begin = self.columns - k.shape[0]
        for store, values in zip(self.layers[layer], (k, v), strict=True):
            store[row, :, begin : self.columns] = values.transpose(0, 1)

    def grow(self) -> None:
        """Make room for one more column."""
        if self.columns < self.mask.shape[3]:
            return
        more = max(_GROWTH, self.columns // 2)
        self.layers = [(F.pad(k, (0, 0, 0, more)), F.pad(v, (0, 0, 0, more))) for k, v in self.layers]
        self.mask = F.pad(self.mask, (0, more))

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        self.layers = [(k.index_select(0, rows), v.index_select(0, rows)) for k, v in self.layers]
        self.mask = self.mask.index_select(0, rows)


@torch.inference_mode()
def decode(weights: Weights, groups: Sequence[PromptGroup], params: SamplingParams, stop_ids: Set[int]) -> Iterator[Drawn]:
    """Sample all groups' members together, yielding each position's tokens. A row ends with a stop token or at `max_tokens`.

    The bits depend on the batch alone: its groups, their order, the parameters and the weights.
    """
    cache, hidden = _prefill(weights, groups, params.max_tokens)
    lengths = torch.tensor([len(group.prompt_T) for group in groups for _ in group.seeds_G], device=hidden.device)
    uniforms = RowUniforms([seed for group in groups for seed in group.seeds_G])
    cached = list(range(len(lengths)))  # the row behind each line of the cache
    active = set(cached)
    for position in range(params.max_tokens):
        rows = torch.tensor(cached, device=hidden.device)
        tokens, logprobs = draw(hidden @ weights.head.T, uniforms.at(position)[cached], params.temperature, params.top_p)
        drawn = [entry for entry in zip(cached, tokens.tolist(), logprobs.tolist(), strict=True) if entry[0] in active]
        yield Drawn(*(list(column) for column in zip(*drawn, strict=True)))
        active -= {row for row, token, _ in drawn if token in stop_ids}
        if not active:
            return
        if len(active) <= _SHRINK * len(cached):
            lines = torch.tensor([line for line, row in enumerate(cached) if row in active], device=hidden.device)
            cache.keep(lines)
            tokens, rows = tokens[lines], rows[lines]
            cached = rows.tolist()
        if position + 1 < params.max_tokens:
            hidden = _advance(weights, cache, tokens, lengths[rows] + position)


def _prefill(weights: Weights, groups: Sequence[PromptGroup], max_tokens: int) -> tuple[_Cache, Tensor]:
    """A cache holding every prompt, and the hidden state [rows, hidden] that predicts each row's first token."""
    rows = sum(len(group.seeds_G) for group in groups)
    cache = _Cache(weights, rows, max(len(group.prompt_T) for group in groups), min(max_tokens, _GROWTH))
    cache.mask[..., : cache.columns] = float("-inf")
    hidden = weights.embed.new_empty(rows, weights.config.hidden)
    row = 0
    for part in _parts(groups):
        packed = pack([(group.prompt_T, ()) for group in part], weights.embed.device)
        computed: list[tuple[Tensor, Tensor]] = []
        states = hidden_states(weights, packed, cache=computed)
        for span, group in zip(packed.groups, part, strict=True):
            members, prompt = slice(row, row + len(group.seeds_G)), slice(span.start, span.start + span.prompt)
            for layer, (k, v) in enumerate(computed):
                cache.fill(layer, members, k[prompt], v[prompt])
            cache.mask[members, ..., cache.columns - span.prompt : cache.columns] = 0.0
            hidden[members] = states[prompt.stop - 1]
            row = members.stop
    return cache, hidden


def _parts(groups: Sequence[PromptGroup]) -> Iterator[Sequence[PromptGroup]]:
    """Consecutive groups of at most `_PREFILL_TOKENS` prompt tokens, at least one group each."""
    begin = total = 0
    for i, group in enumerate(groups):
        if i > begin and total + len(group.prompt_T) > _PREFILL_TOKENS:
            yield groups[begin:i]
            begin, total = i, 0
        total += len(group.prompt_T)
    yield groups[begin:]


def _advance(weights: Weights, cache: _Cache, tokens: Tensor, positions: Tensor) -> Tensor:
    """Append one token a row and return the hidden state [rows, hidden] that predicts the next."""
    config = weights.config
    cache.grow()
    column, end = cache.columns, cache.columns + 1
    cos, sin = rope_table(config, positions)
    mask = cache.mask[..., :end]
    repeat = config.heads // config.kv_heads
    x = F.embedding(tokens, weights.embed)
    for layer, (keys, values) in zip(weights.layers, cache.layers, strict=True):
        normed = F.rms_norm(x, (config.hidden,), layer.attn_norm, config.norm_eps)
        q, k, v = project_qkv(config, layer, normed @ layer.qkv.T, cos, sin)
        keys[:, :, column], values[:, :, column] = k, v
        # Query heads that share a key head stand as rows of one small matrix.
        scores = q.view(len(q), config.kv_heads, repeat, -1) @ keys[:, :, :end].transpose(2, 3)
        weighed = scores.mul_(config.head_dim**-0.5).add_(mask).softmax(dim=-1) @ values[:, :, :end]
        x = x + weighed.view(len(q), -1) @ layer.out.T
        gate, up = (F.rms_norm(x, (config.hidden,), layer.mlp_norm, config.norm_eps) @ layer.gate_up.T).chunk(2, dim=-1)
        x = x + (F.silu(gate) * up) @ layer.down.T
    cache.columns = end
    return F.rms_norm(x, (config.hidden,), weights.norm, config.norm_eps)
