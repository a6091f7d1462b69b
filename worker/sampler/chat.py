"""A chat completion: OpenAI's request to a prompt group, and sampled tokens to its response or chunks."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from core.errors import InvalidRequest
from core.ids import new_id
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.decode import decode
from worker.sampler.engine import Served
from worker.sampler.request import ChatRequest
from worker.sampler.text import AnswerText, StopStrings, TextStream
from worker.seeds import derive

Json = dict[str, Any]

DEFAULT_MAX_TOKENS = 2048
BATCH_TOKENS = 1 << 16
"""Cached positions of one decoding batch at most, prompts included; more choices than fit are sampled one batch after another."""
_OPENS_REASONING = "<think>"


@dataclass(frozen=True)
class Piece:
    """What one step adds to one choice. `logprobs` has one entry a token, the end-of-text token left out."""

    index: int
    text: str
    logprobs: tuple[Json, ...]
    finish_reason: str | None


class Generation:
    """One request on its weights: checked by the constructor, sampled by `pieces`, counted by `usage`.

    Raises `InvalidRequest` (`context_length_exceeded`) for a prompt that leaves no room for an answer.
    """

    def __init__(self, served: Served, request: ChatRequest) -> None:
        self._served = served
        self.request = request
        self._prompt = _prompt(served, request)
        room = served.max_len - len(self._prompt)
        if room < 1:
            raise InvalidRequest(
                f"This model's maximum context length is {served.max_len} tokens. However, your messages resulted in "
                f"{len(self._prompt)} tokens. Please reduce the length of the messages.",
                param="messages",
                code="context_length_exceeded",
            )
        self._max_tokens = min(room, request.max_completion_tokens or request.max_tokens or DEFAULT_MAX_TOKENS)
        opened = served.tokenizer.transcript(self._prompt[-16:]).rstrip().endswith(_OPENS_REASONING)
        self._rows = [_Row(served, index, request, opened) for index in range(request.n or 1)]
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `pieces` after the token at hand; may be called from any thread."""
        self._stop.set()

    def pieces(self) -> Iterator[Piece]:
        """Sample all choices, giving what each step adds."""
        seeds = _seeds(self.request.seed, len(self._rows))
        temperature, top_p = self.request.temperature, self.request.top_p
        params = SamplingParams(
            max_tokens=self._max_tokens,
            temperature=1.0 if temperature is None else temperature,
            top_p=1.0 if top_p is None else top_p,
        )
        together = max(1, BATCH_TOKENS // (len(self._prompt) + self._max_tokens))
        for begin in range(0, len(self._rows), together):
            if self._stop.is_set():
                return
            rows = self._rows[begin : begin + together]
            yield from self._batch(rows, PromptGroup(self._prompt, seeds[begin : begin + together]), params)

    def _batch(self, rows: Sequence[_Row], group: PromptGroup, params: SamplingParams) -> Iterator[Piece]:
        steps = decode(self._served.weights, [group], params, self._served.tokenizer.stop_ids)
        for drawn in steps:
            if self._stop.is_set():
                return
            for index, token, logprob in zip(drawn.rows, drawn.tokens, drawn.logprobs, strict=True):
                row = rows[index]
                if row.finish_reason is None:
                    yield row.push(token, logprob, last=row.tokens + 1 == params.max_tokens)
            if all(row.finish_reason for row in rows):
                return

    def usage(self) -> Json:
        """OpenAI's usage object for what was sampled so far."""
        completion = sum(row.tokens for row in self._rows)
        return {
            "prompt_tokens": len(self._prompt),
            "completion_tokens": completion,
            "total_tokens": len(self._prompt) + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": sum(row.reasoning_tokens for row in self._rows),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


class _Row:
    """One choice as it grows."""

    def __init__(self, served: Served, index: int, request: ChatRequest, opened: bool) -> None:
        self._text_of = served.tokenizer.text
        self._stop_ids = served.tokenizer.stop_ids
        self._stream = TextStream(self._text_of)
        self._answer = AnswerText(opened=opened)
        self._stops = StopStrings(request.stop or ())
        self._index = index
        self._logprobs = bool(request.logprobs)
        self.tokens = 0
        self.reasoning_tokens = 0
        self.finish_reason: str | None = None

    def push(self, token: int, logprob: float, *, last: bool) -> Piece:
        self.tokens += 1
        ended = token in self._stop_ids
        answer = self._answer.push("" if ended else self._stream.push(token))
        if ended or last:
            answer += self._answer.push(self._stream.finish()) + self._answer.finish()
        if self._answer.reasoning_ended and not self.reasoning_tokens:
            self.reasoning_tokens = self.tokens
        text = self._stops.push(answer)
        if ended or self._stops.met:
            self.finish_reason = "stop"
        elif last:
            self.finish_reason = "length"
        if self.finish_reason:
            text += self._stops.finish()
        entries = (self._entry(token, logprob),) if self._logprobs and not ended else ()
        return Piece(self._index, text, entries, self.finish_reason)

    def _entry(self, token: int, logprob: float) -> Json:
        text = self._text_of([token])
        whole = "\N{REPLACEMENT CHARACTER}" not in text
        return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if whole else None, "top_logprobs": []}


def response(generation: Generation, pieces: Iterable[Piece]) -> Json:
    """The chat completion made of all pieces."""
    texts: dict[int, list[str]] = {}
    entries: dict[int, list[Json]] = {}
    reasons: dict[int, str | None] = {}
    for piece in pieces:
        texts.setdefault(piece.index, []).append(piece.text)
        entries.setdefault(piece.index, []).extend(piece.logprobs)
        reasons[piece.index] = piece.finish_reason
    choices: list[Json] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": "".join(texts[index]), "refusal": None, "annotations": []},
            "logprobs": {"content": entries[index], "refusal": None} if generation.request.logprobs else None,
            "finish_reason": reasons[index],
        }
        for index in sorted(texts)
    ]
    return {**_head(generation, "chat.completion"), "choices": choices, "usage": generation.usage()}


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


def _prompt(served: Served, request: ChatRequest) -> tuple[int, ...]:
    messages = [message.model_dump(exclude_unset=True) for message in request.messages]
    try:
        return served.tokenizer.prompt(messages, request.tools)
    except jinja2.TemplateError as error:
        message = f"The model's chat template refuses these messages: {error}"
        raise InvalidRequest(message, param="messages", code="invalid_value") from error


def _seeds(seed: int | None, count: int) -> tuple[int, ...]:
    """A seed for each choice; the same for the same `seed`."""
    root = secrets.randbits(63) if seed is None else seed
    return tuple(derive(root, "chat", index) for index in range(count))
