"""Token-by-token sampling of a batch: prompts computed once a group, keys and values in a static cache, finished rows leave.

`Decoder` is the model's side of it: rows that may join and leave at any position. `decode` samples a fixed set of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from worker.policy.forward import hidden_states, pack, project_qkv, rope_table
from worker.policy.model import Weights
from worker.policy.products import product
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.draw import Allowed, RowUniforms, draw
from worker.rollout.guide import Guide, Guides

_PREFILL_TOKENS = 4096
"""Prompt tokens computed at once."""
_GROWTH = 64
"""Columns by which the cache grows, at least."""
SHRINK = 0.8
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
        if self.columns == self.mask.shape[3]:
            self._pad(0, max(_GROWTH, self.columns // 2))

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        self.layers = [(k.index_select(0, rows), v.index_select(0, rows)) for k, v in self.layers]
        self.mask = self.mask.index_select(0, rows)

    def append(self, other: _Cache) -> None:
        """Take in the rows of another, prompts that end at its last column."""
        self._trim()
        self._pad(max(0, other.columns - self.columns), 0)
        other._pad(self.columns - other.columns, 0)
        room = max(self.mask.shape[3], other.mask.shape[3])
        self._pad(0, room - self.mask.shape[3])
        other._pad(0, room - other.mask.shape[3])
        for layer, (k, v) in enumerate(other.layers):
            mine = self.layers[layer]
            self.layers[layer] = torch.cat([mine[0], k]), torch.cat([mine[1], v])
        self.mask = torch.cat([self.mask, other.mask])

    def _trim(self) -> None:
        """Cut off the columns on the left that no row sees any more."""
        seen = (self.mask[:, 0, 0, : self.columns] == 0).any(dim=0)
        first = int(seen.to(torch.uint8).argmax())
        self.layers = [(k[:, :, first:], v[:, :, first:]) for k, v in self.layers]
        self.mask = self.mask[..., first:]
        self.columns -= first

    def _pad(self, left: int, right: int) -> None:
        if left or right:
            self.layers = [(F.pad(k, (0, 0, left, right)), F.pad(v, (0, 0, left, right))) for k, v in self.layers]
            self.mask = F.pad(F.pad(self.mask, (left, 0), value=float("-inf")), (0, right))
            self.columns += left


class Decoder:
    """Rows decoded together on one set of weights, each a line of the batch; which tokens come is its caller's choice.

    The bits depend on what joined, left and came when.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._cache: _Cache | None = None
        self._hidden = weights.embed.new_empty(0, weights.config.hidden)
        self._positions = torch.empty(0, dtype=torch.long, device=weights.embed.device)

    @property
    def columns(self) -> int:
        """Positions that every line takes in memory, padding included."""
        return self._cache.columns if self._cache else 0

    @torch.inference_mode()
    def join(self, groups: Sequence[PromptGroup], room: int) -> None:
        """Compute some prompts, and add a line for each of their members, in order. `room` is what they may grow to soon."""
        fresh, hidden = _prefill(self._weights, groups, room)
        lengths = [len(group.prompt_T) for group in groups for _ in group.seeds_G]
        if self._cache is None:
            self._cache = fresh
        else:
            self._cache.append(fresh)
        self._hidden = torch.cat([self._hidden, hidden]) if len(self._hidden) else hidden
        self._positions = torch.cat([self._positions, torch.tensor(lengths, device=hidden.device)])

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """What comes next on each line, [lines, vocabulary] in float32."""
        return product(self._hidden, self._weights.head).float()

    @torch.inference_mode()
    def keep(self, lines: Sequence[int]) -> None:
        """Drop all other lines."""
        if not lines or self._cache is None:
            self._cache = None
        index = torch.tensor(lines, dtype=torch.long, device=self._positions.device)
        if self._cache is not None:
            self._cache.keep(index)
        self._hidden, self._positions = self._hidden[index], self._positions[index]

    @torch.inference_mode()
    def advance(self, tokens: Tensor) -> None:
        """Append a token [lines] to every line."""
        assert self._cache is not None
        self._hidden = _advance(self._weights, self._cache, tokens, self._positions)
        self._positions = self._positions + 1


@torch.inference_mode()
def decode(
    weights: Weights, groups: Sequence[PromptGroup], params: SamplingParams, stop_ids: Set[int], guides: Guides | None = None
) -> Iterator[Drawn]:
    """Sample all groups' members together, yielding each position's tokens. A row ends with a stop token or at `max_tokens`.

    `guides` make the rows follow `params.response_format`. The bits depend on the batch alone: its groups, their order, the
    parameters and the weights.
    """
    seeds = [seed for group in groups for seed in group.seeds_G]
    decoder = Decoder(weights.packed(len(seeds)))
    decoder.join(groups, params.max_tokens)
    uniforms = RowUniforms(seeds)
    guided = _Guided(groups, params, guides)
    cached = list(range(len(seeds)))  # the row behind each line
    active = set(cached)
    for position in range(params.max_tokens):
        logits = decoder.logits()
        allowed = guided.allowed([row if row in active else None for row in cached], logits.device)
        tokens, logprobs = draw(logits, uniforms.at(position)[cached], params.temperature, params.top_p, allowed)
        drawn = [entry for entry in zip(cached, tokens.tolist(), logprobs.tolist(), strict=True) if entry[0] in active]
        yield Drawn(*(list(column) for column in zip(*drawn, strict=True)))
        active -= {row for row, token, _ in drawn if token in stop_ids or guided.fails(row, token)}
        if not active:
            return
        if len(active) <= SHRINK * len(cached):
            lines = [line for line, row in enumerate(cached) if row in active]
            decoder.keep(lines)
            tokens, cached = tokens[lines], [cached[line] for line in lines]
        if position + 1 < params.max_tokens:
            decoder.advance(tokens)


class _Guided:
    """The guides of a batch's rows, where its parameters ask for a format."""

    def __init__(self, groups: Sequence[PromptGroup], params: SamplingParams, guides: Guides | None) -> None:
        self._guides, self._of_row = guides, dict[int, Guide]()
        if params.response_format is not None:
            assert guides is not None, "a format needs guides"
            prompts = [group.prompt_T for group in groups for _ in group.seeds_G]
            self._of_row = {row: guides.guide(params.response_format, prompt_T) for row, prompt_T in enumerate(prompts)}

    def allowed(self, rows: Sequence[int | None], device: torch.device) -> Allowed | None:
        if self._guides is None or not self._of_row:
            return None
        return self._guides.allowed([None if row is None else self._of_row[row] for row in rows], device)

    def fails(self, row: int, token: int) -> bool:
        """Take note of a row's token; whether the format can be followed no further."""
        guide = self._of_row.get(row)
        if guide is not None:
            guide.push(token)
        return guide is not None and guide.failed


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
        q, k, v = project_qkv(config, layer, product(normed, layer.qkv), cos, sin)
        keys[:, :, column], values[:, :, column] = k, v
        # Query heads that share a key head stand as rows of one small matrix.
        scores = q.view(len(q), config.kv_heads, repeat, -1) @ keys[:, :, :end].transpose(2, 3)
        weighed = scores.mul_(config.head_dim**-0.5).add_(mask).softmax(dim=-1) @ values[:, :, :end]
        x = x + product(weighed.view(len(q), -1), layer.out)
        normed = F.rms_norm(x, (config.hidden,), layer.mlp_norm, config.norm_eps)
        gate, up = product(normed, layer.gate_up).chunk(2, dim=-1)
        x = x + product(F.silu(gate) * up, layer.down)
    cache.columns = end
    return F.rms_norm(x, (config.hidden,), weights.norm, config.norm_eps)
