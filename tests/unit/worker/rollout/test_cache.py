"""The cache beside attention that is computed row by row over everything that a row has seen."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from worker.policy.model import PolicyModel
from worker.rollout.cache import Cache


@dataclass
class Row:
    """A row's keys and values [kv_heads, seen, d], a layer each."""

    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class Beside:
    """A cache, and the same rows one by one."""

    def __init__(self, model: PolicyModel, seed: int) -> None:
        self.model, self.random = model, random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.cache: Cache | None = None
        self.rows: list[Row] = []

    def join(self, sizes: list[int]) -> None:
        config = self.model.config
        lengths = [self.random.randint(1, 40) for _ in sizes]
        fresh = Cache(self.model.weights, sizes, max(lengths), self.random.randint(1, 100))
        for group, (size, length) in enumerate(zip(sizes, lengths, strict=True)):
            prompt = [(self.normal(length, config.kv_heads), self.normal(length, config.kv_heads)) for _ in range(config.layers)]
            for layer, (k, v) in enumerate(prompt):
                fresh.fill(layer, group, k, v)
            self.rows += [Row([(k.transpose(0, 1), v.transpose(0, 1)) for k, v in prompt]) for _ in range(size)]
        if self.cache is None:
            self.cache = fresh
        else:
            self.cache.append(fresh)

    def leave(self) -> None:
        kept = [row for row in range(len(self.rows)) if self.random.random() < 0.7] or [0]
        assert self.cache is not None
        self.cache.keep(torch.tensor(kept))
        self.rows = [self.rows[row] for row in kept]

    def advance(self) -> None:
        config = self.model.config
        assert self.cache is not None
        self.cache.grow()
        for layer in range(config.layers):
            q = self.normal(len(self.rows), config.heads)
            k, v = self.normal(len(self.rows), config.kv_heads), self.normal(len(self.rows), config.kv_heads)
            together = self.cache.attend(layer, q, k, v)
            alone = [self.alone(row, layer, q[i], k[i], v[i]) for i, row in enumerate(self.rows)]
            torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-5)

    def alone(self, row: Row, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = (torch.cat([old, new[:, None]], dim=1) for old, new in zip(row.seen[layer], (k, v), strict=True))
        row.seen[layer] = keys, values
        repeat = len(q) // len(k)
        keys, values = (x.repeat_interleave(repeat, dim=0) for x in (keys, values))
        return F.scaled_dot_product_attention(q[:, None], keys, values)[:, 0].flatten()

    def normal(self, lines: int, heads: int) -> Tensor:
        return torch.randn(lines, heads, self.model.config.head_dim, generator=self.generator)


@pytest.mark.parametrize("seed", range(8))
def test_rows_that_join_and_leave_see_their_prompt_and_their_own_past(tiny: PolicyModel, seed: int) -> None:
    beside = Beside(tiny, seed)
    beside.join([3, 1, 4])
    for _ in range(6):
        for _ in range(beside.random.randint(0, 30)):
            beside.advance()
        beside.leave()
        beside.advance()
        beside.join([beside.random.randint(1, 5) for _ in range(beside.random.randint(1, 3))])
    beside.advance()


def test_a_prompt_takes_its_memory_once_for_all_rows_of_its_group(tiny: PolicyModel) -> None:
    def size(rows: int) -> int:
        cache = Cache(tiny.weights, [rows], 1000, 10)
        return sum(k.numel() + v.numel() for store in (cache._prompts, cache._own) for k, v in store.layers)

    config = tiny.config
    assert size(64) - size(1) == 63 * 10 * 2 * config.layers * config.kv_heads * config.head_dim


def test_a_prompt_goes_with_the_last_row_of_its_group(tiny: PolicyModel) -> None:
    cache = Cache(tiny.weights, [2, 2], 10, 10)
    cache.keep(torch.tensor([0, 2, 3]))
    assert len(cache._prompts.mask) == 2
    cache.keep(torch.tensor([1, 2]))
    assert len(cache._prompts.mask) == 1
