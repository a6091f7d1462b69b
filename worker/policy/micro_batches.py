"""Cutting a step's groups into parts that are computed one after the other, their gradients added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from worker.policy.base import TrainGroup


def micro_batches(groups: Sequence[TrainGroup], max_tokens: int) -> Iterator[list[TrainGroup]]:
    """Cut groups into parts of at most `max_tokens` tokens, larger groups by their completions."""
    part: list[TrainGroup] = []
    room = max_tokens
    for piece in (piece for group in groups for piece in _pieces(group, max_tokens)):
        size = group_tokens(piece)
        if part and size > room:
            yield part
            part, room = [], max_tokens
        part.append(piece)
        room -= size
    if part:
        yield part


def group_tokens(group: TrainGroup) -> int:
    """Tokens that are computed for a group: its prompt once, and its completions."""
    return len(group.prompt_T) + completion_tokens([group])


def completion_tokens(groups: Sequence[TrainGroup]) -> int:
    """Completion tokens of some groups."""
    return sum(len(completion) for group in groups for completion in group.completions_G)


def _pieces(group: TrainGroup, max_tokens: int) -> Iterator[TrainGroup]:
    begin, size = 0, len(group.prompt_T)
    for i, completion in enumerate(group.completions_G):
        if i > begin and size + len(completion) > max_tokens:
            yield _members(group, slice(begin, i))
            begin, size = i, len(group.prompt_T)
        size += len(completion)
    yield _members(group, slice(begin, None))


def _members(group: TrainGroup, rows: slice) -> TrainGroup:
    return replace(
        group,
        completions_G=group.completions_G[rows],
        logprobs_G=group.logprobs_G[rows],
        advantages_G=group.advantages_G[rows],
    )
