"""From what was sampled to OpenAI's chat completion, or its chunks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from core.ids import new_id
from worker.sampler.generation import Generation, Piece

Json = dict[str, Any]


def response(generation: Generation, pieces: Iterable[Piece]) -> Json:
    """The chat completion made of all pieces."""
    by_choice: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_choice.setdefault(piece.index, []).append(piece)
    choices = [_choice(generation, index, by_choice[index]) for index in sorted(by_choice)]
    return {**_head(generation, "chat.completion"), "choices": choices, "usage": generation.usage()}


def _choice(generation: Generation, index: int, pieces: list[Piece]) -> Json:
    text = "".join(piece.text for piece in pieces)
    calls = [call for piece in pieces for call in piece.tool_calls]
    entries = [entry for piece in pieces for entry in piece.logprobs]
    message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if calls:
        message |= {"content": text.strip() or None, "tool_calls": calls}
    return {
        "index": index,
        "message": message,
        "logprobs": {"content": entries, "refusal": None} if generation.request.logprobs else None,
        "finish_reason": pieces[-1].finish_reason,
    }


class Chunks:
    """The chunks of a streamed completion, all under one id."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._head = _head(generation, "chat.completion.chunk")
        options = generation.request.stream_options
        self._with_usage = options is not None and options.include_usage
        self._begun: set[int] = set()

    def of(self, piece: Piece) -> Iterator[Json]:
        """The chunks of one piece: the role before a choice's first text, its end by itself; none where nothing is new."""
        if piece.index not in self._begun:
            self._begun.add(piece.index)
            yield self._chunk(piece.index, {"role": "assistant", "content": "", "refusal": None})
        if piece.text or piece.logprobs:
            yield self._chunk(piece.index, {"content": piece.text}, piece.logprobs)
        if piece.tool_calls:
            yield self._chunk(piece.index, {"tool_calls": [{"index": i, **call} for i, call in enumerate(piece.tool_calls)]})
        if piece.finish_reason:
            yield self._chunk(piece.index, {}, finish_reason=piece.finish_reason)

    def end(self) -> Iterator[Json]:
        """The closing chunk with the usage, where it was asked for."""
        if self._with_usage:
            yield {**self._head, "choices": [], "usage": self._generation.usage()}

    def _chunk(self, index: int, delta: Json, logprobs: tuple[Json, ...] = (), finish_reason: str | None = None) -> Json:
        content = {"content": list(logprobs), "refusal": None} if logprobs else None
        choice = {"index": index, "delta": delta, "logprobs": content, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice], **({"usage": None} if self._with_usage else {})}


def _head(generation: Generation, kind: str) -> Json:
    return {
        "id": new_id("chatcmpl-"),
        "object": kind,
        "created": int(time.time()),
        "model": generation.request.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }
