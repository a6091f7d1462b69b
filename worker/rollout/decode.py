"""Token-by-token sampling of a batch: prompts computed and kept once a group, finished rows leave.

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
from worker.rollout.cache import Cache
from worker.rollout.draw import Allowed, RowUniforms, draw
from worker.rollout.guide import Guide, Guides

_PREFILL_TOKENS = 4096
"""Prompt tokens computed at once."""
SHRINK = 0.8
"""Finished rows are taken out of the cache when no more than this share is left: a copy of the cache pays for itself then."""


@dataclass(frozen=True)
class Drawn:
    """One position's tokens, for the rows still active: row indexes over all groups' members, flattened in order."""

    rows: list[int]
    tokens: list[int]
    logprobs: list[float]


class Decoder:
    """Rows decoded together on one set of weights, each a line of the batch; which tokens come is its caller's choice.

    The bits depend on what joined, left and came when.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._cache: Cache | None = None
        self._hidden = weights.embed.new_empty(0, weights.config.hidden)
        self._positions = torch.empty(0, dtype=torch.long, device=weights.embed.device)

    @property
    def columns(self) -> int:
        """Positions that every line takes behind its prompt, padding included."""
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


def _prefill(weights: Weights, groups: Sequence[PromptGroup], room: int) -> tuple[Cache, Tensor]:
    """A cache holding every prompt, and the hidden state [rows, hidden] that predicts each row's first token."""
    sizes = [len(group.seeds_G) for group in groups]
    cache = Cache(weights, sizes, max(len(group.prompt_T) for group in groups), room)
    ends: list[Tensor] = []
    for part in _parts(groups):
        packed = pack([(group.prompt_T, ()) for group in part], weights.embed.device)
        computed: list[tuple[Tensor, Tensor]] = []
        states = hidden_states(weights, packed, cache=computed)
        for span in packed.groups:
            prompt = slice(span.start, span.start + span.prompt)
            for layer, (k, v) in enumerate(computed):
                cache.fill(layer, len(ends), k[prompt], v[prompt])
            ends.append(states[prompt.stop - 1])
    return cache, torch.stack(ends).repeat_interleave(torch.tensor(sizes, device=weights.embed.device), dim=0)


def _parts(groups: Sequence[PromptGroup]) -> Iterator[Sequence[PromptGroup]]:
    """Consecutive groups of at most `_PREFILL_TOKENS` prompt tokens, at least one group each."""
    begin = total = 0
    for i, group in enumerate(groups):
        if i > begin and total + len(group.prompt_T) > _PREFILL_TOKENS:
            yield groups[begin:i]
            begin, total = i, 0
        total += len(group.prompt_T)
    yield groups[begin:]


def _advance(weights: Weights, cache: Cache, tokens: Tensor, positions: Tensor) -> Tensor:
    """Append one token a row and return the hidden state [rows, hidden] that predicts the next."""
    config = weights.config
    cache.grow()
    cos, sin = rope_table(config, positions)
    x = F.embedding(tokens, weights.embed)
    for i, layer in enumerate(weights.layers):
        normed = F.rms_norm(x, (config.hidden,), layer.attn_norm, config.norm_eps)
        q, k, v = project_qkv(config, layer, product(normed, layer.qkv), cos, sin)
        x = x + product(cache.attend(i, q, k, v), layer.out)
        normed = F.rms_norm(x, (config.hidden,), layer.mlp_norm, config.norm_eps)
        gate, up = product(normed, layer.gate_up).chunk(2, dim=-1)
        x = x + product(F.silu(gate) * up, layer.down)
    return F.rms_norm(x, (config.hidden,), weights.norm, config.norm_eps)
