"""Drawing tokens: seeded per row, by a two-level inverse CDF that reads the vocabulary once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_BLOCK = 256
"""Tokens of one block: blocks are summed first, then only the drawn block is searched."""


@dataclass(frozen=True)
class Allowed:
    """The tokens that some rows are bound to: row `rows[r]` may go where `tokens[r]` [vocabulary] is true, at least once."""

    rows: Tensor
    tokens: Tensor


class RowUniforms:
    """Uniform numbers in [0, 1) a row and position, from each row's own seed: no row's luck depends on the batch it is in."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [np.random.Generator(np.random.Philox(key=seed)) for seed in seeds]
        self._values = np.empty((len(seeds), 0))

    def at(self, position: int) -> Tensor:
        """The numbers of all rows [rows] for their token at `position`."""
        if position >= self._values.shape[1]:
            fresh = np.stack([generator.random(64) for generator in self._generators])
            self._values = np.concatenate([self._values, fresh], axis=1)
        return torch.from_numpy(self._values[:, position].copy())


def draw(
    logits: Tensor, uniforms: Tensor, temperature: float, top_p: float, allowed: Allowed | None = None
) -> tuple[Tensor, Tensor]:
    """Tokens [B] from logits [B, vocabulary] (overwritten) and uniforms [B], with their log-probabilities [B].

    Log-probabilities are the model's at this temperature, before top-p and before `allowed`: training computes the same.
    Temperature 0 takes the likeliest allowed token, with its log-probability at temperature 1.
    """
    if temperature == 0:
        tokens = logits.argmax(dim=1)
        if allowed is not None:
            tokens[allowed.rows] = _bound(logits, allowed).argmax(dim=1)
        return tokens, logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(dim=1)
    if temperature != 1:
        logits.div_(temperature)
    mass = logits.sub_(logits.amax(dim=1, keepdim=True)).exp()
    blocks, sums = _blocks(mass)
    log_total = sums.sum(dim=1).log()
    if allowed is not None:
        bound = _bound(logits, allowed)
        # Measured from the likeliest of the allowed tokens: beside the others their mass may be nothing in this precision.
        mass[allowed.rows] = bound.sub_(bound.amax(dim=1, keepdim=True)).exp_()
    if top_p < 1:
        mass = _nucleus(mass, top_p)
    if allowed is not None or top_p < 1:
        blocks, sums = _blocks(mass)
    tokens = _inverse_cdf(blocks, sums, uniforms.to(logits.device))
    return tokens, (logits.gather(1, tokens[:, None])[:, 0] - log_total).to(logits.dtype)


def _bound(logits: Tensor, allowed: Allowed) -> Tensor:
    return logits[allowed.rows].masked_fill_(~allowed.tokens, float("-inf"))


def _blocks(mass: Tensor) -> tuple[Tensor, Tensor]:
    """[B, blocks, _BLOCK], padded with zeros where the vocabulary is no multiple, and each block's sum [B, blocks] in float64."""
    missing = -mass.shape[1] % _BLOCK
    blocks = (F.pad(mass, (0, missing)) if missing else mass).view(mass.shape[0], -1, _BLOCK)
    return blocks, blocks.sum(dim=2, dtype=torch.float64)


def _inverse_cdf(blocks: Tensor, sums: Tensor, uniforms: Tensor) -> Tensor:
    """The token of each row at which the cumulative mass passes uniform * total."""
    cumulative = sums.cumsum(dim=1)
    target = (uniforms * cumulative[:, -1])[:, None]
    block = torch.searchsorted(cumulative, target, right=True).clamp_(max=cumulative.shape[1] - 1)
    before = torch.where(block > 0, cumulative.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks[torch.arange(len(blocks), device=blocks.device), block[:, 0]].to(torch.float64).cumsum(dim=1)
    # Rounding may put the target a hair past the block's end; stay on a token that has mass.
    residual = torch.minimum(target - before, inside[:, -1:] * (1 - 1e-12))
    within = torch.searchsorted(inside, residual, right=True).clamp_(max=_BLOCK - 1)
    return (block * _BLOCK + within)[:, 0]


def _nucleus(mass: Tensor, top_p: float) -> Tensor:
    """The mass with all but the smallest set of likeliest tokens that reaches `top_p` set to zero (arXiv:1904.09751)."""
    ordered, order = mass.sort(dim=1, descending=True)
    before = ordered.cumsum(dim=1) - ordered
    ordered[before >= top_p * ordered.sum(dim=1, keepdim=True)] = 0.0
    return torch.zeros_like(mass).scatter_(1, order, ordered)
