"""Keys and values of rows that are decoded together: a prompt's once a group, those of the tokens since once a row.

Prompts may be long, and a group has many rows: so they take a fraction of the memory, and a position reads them once a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from worker.policy.model import Weights

_GROWTH = 64
"""Columns by which a store grows, at least."""


class _Store:
    """Keys and values [lines, kv_heads, columns, d] a layer. Lines end at the same column, padded on the left."""

    def __init__(self, weights: Weights, lines: int, columns: int, room: int) -> None:
        config = weights.config
        shape = (lines, config.kv_heads, columns + room, config.head_dim)
        self.layers = [(weights.embed.new_zeros(shape), weights.embed.new_zeros(shape)) for _ in weights.layers]
        self.mask = weights.embed.new_zeros(lines, columns + room)
        """Added to scores: -inf where a line is padded."""
        self.columns = columns
        """Those in use; what lies behind is room."""

    def grow(self) -> None:
        """Take one column more."""
        if self.columns == self.mask.shape[1]:
            self._pad(0, max(_GROWTH, self.columns // 2))
        self.columns += 1

    def keep(self, lines: Tensor) -> None:
        """Drop all other lines."""
        self.layers = [(k.index_select(0, lines), v.index_select(0, lines)) for k, v in self.layers]
        self.mask = self.mask.index_select(0, lines)

    def append(self, other: _Store) -> None:
        """Take in the lines of another."""
        self._trim()
        self._pad(max(0, other.columns - self.columns), 0)
        other._pad(self.columns - other.columns, 0)
        room = max(self.mask.shape[1], other.mask.shape[1])
        self._pad(0, room - self.mask.shape[1])
        other._pad(0, room - other.mask.shape[1])
        for layer, (k, v) in enumerate(other.layers):
            mine = self.layers[layer]
            self.layers[layer] = torch.cat([mine[0], k]), torch.cat([mine[1], v])
        self.mask = torch.cat([self.mask, other.mask])

    def _trim(self) -> None:
        """Cut off the columns on the left that no line has anything in any more."""
        seen = (self.mask[:, : self.columns] == 0).any(dim=0).tolist()
        first = seen.index(True) if True in seen else 0
        self.layers = [(k[:, :, first:], v[:, :, first:]) for k, v in self.layers]
        self.mask = self.mask[:, first:]
        self.columns -= first

    def _pad(self, left: int, right: int) -> None:
        if left or right:
            self.layers = [(F.pad(k, (0, 0, left, right)), F.pad(v, (0, 0, left, right))) for k, v in self.layers]
            self.mask = F.pad(F.pad(self.mask, (left, 0), value=float("-inf")), (0, right))
            self.columns += left


class Cache:
    """Rows [R] of groups [G] with a prompt each; a group's rows follow one another. They may join and leave at any position."""

    _mask: Tensor
    """Of the position that `grow` has begun: [R, 1, 1, prompt and own columns]."""

    def __init__(self, weights: Weights, sizes_G: Sequence[int], prompt_columns: int, room: int) -> None:
        """For groups of so many rows, whose prompts `fill` puts in. `room` is how many tokens they may come to have soon."""
        self._prompts = _Store(weights, len(sizes_G), prompt_columns, 0)
        self._prompts.mask.fill_(float("-inf"))
        self._own = _Store(weights, sum(sizes_G), 0, min(room, _GROWTH))
        device = weights.embed.device
        self._groups_R = torch.arange(len(sizes_G), device=device).repeat_interleave(torch.tensor(sizes_G, device=device))
        self._arrange()

    @property
    def columns(self) -> int:
        """Positions that every row takes behind its prompt, padding included."""
        return self._own.columns

    def fill(self, layer: int, group: int, k: Tensor, v: Tensor) -> None:
        """Put in a prompt's keys and values [P, kv_heads, d]."""
        begin = self._prompts.columns - len(k)
        for store, values in zip(self._prompts.layers[layer], (k, v), strict=True):
            store[group, :, begin:] = values.transpose(0, 1)
        self._prompts.mask[group, begin:] = 0.0

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows, and prompts whose last row that was."""
        self._own.keep(rows)
        groups, self._groups_R = self._groups_R[rows].unique(return_inverse=True)
        if len(groups) < len(self._prompts.mask):
            self._prompts.keep(groups)
        self._arrange()

    def append(self, other: Cache) -> None:
        """Take in the rows of another, which have no tokens yet."""
        self._groups_R = torch.cat([self._groups_R, other._groups_R + len(self._prompts.mask)])
        self._prompts.append(other._prompts)
        self._own.append(other._own)
        self._arrange()

    def grow(self) -> None:
        """Begin the next position, for `attend` to be called with every layer."""
        self._own.grow()
        own = self._own.mask[:, : self._own.columns]
        self._mask = torch.cat([self._prompts.mask[self._groups_R], own], dim=1)[:, None, None, :]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention [R, heads * d] of a position's queries [R, heads, d]; takes in its keys and values [R, kv_heads, d]."""
        end = self._own.columns
        keys, values = (store[:, :, :end] for store in self._own.layers[layer])
        keys[:, :, -1], values[:, :, -1] = k, v
        prompt_keys, prompt_values = self._prompts.layers[layer]
        # Query heads that share a key head stand as rows of one small matrix; for the prompt those of all its group.
        q = q.view(len(q), k.shape[1], -1, q.shape[2]) * q.shape[2] ** -0.5
        seen = self._by_row(self._by_group(q) @ prompt_keys.transpose(2, 3)), q @ keys.transpose(2, 3)
        weights = torch.cat(seen, dim=3).add_(self._mask).softmax(dim=3)
        of_prompt, of_own = weights.split([self._prompts.columns, end], dim=3)
        attended: Tensor = self._by_row(self._by_group(of_prompt) @ prompt_values) + of_own @ values
        return attended.flatten(1)

    def _arrange(self) -> None:
        """Give every row a slot in a grid [G, places], as wide as the largest group."""
        sizes = torch.bincount(self._groups_R, minlength=len(self._prompts.mask))
        begins = sizes.cumsum(0) - sizes
        self._grid = len(sizes), int(sizes.max())
        places = torch.arange(len(self._groups_R), device=sizes.device) - begins[self._groups_R]
        self._slots = self._groups_R * self._grid[1] + places

    def _by_group(self, x: Tensor) -> Tensor:
        """[R, kv_heads, n, m] as [G, kv_heads, places * n, m], zeros where a group has fewer rows."""
        groups, places = self._grid
        if len(x) < groups * places:
            x = x.new_zeros(groups * places, *x.shape[1:]).index_copy_(0, self._slots, x)
        return x.view(groups, places, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        """The inverse of `_by_group`."""
        groups, places = self._grid
        x = x.unflatten(2, (places, -1)).transpose(1, 2).flatten(0, 1)
        return x if len(self._slots) == groups * places else x.index_select(0, self._slots)
