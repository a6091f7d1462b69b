"""One chat request on its weights: its prompt, and its choices as they grow."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from core import response_format
from core.errors import InvalidRequest
from worker.rollout.guide import Guide
from worker.sampler.engine import Served
from worker.sampler.request import ChatRequest
from worker.sampler.text import AnswerText, StopStrings, TextStream
from worker.sampler.tools import ToolCalls, for_template, has_tools
from worker.seeds import derive

Json = dict[str, Any]
Ranked = Sequence[tuple[int, float]]
"""Tokens with their log-probabilities, likeliest first."""

DEFAULT_MAX_TOKENS = 2048
_OPENS_REASONING = "<think>"


@dataclass(frozen=True)
class Piece:
    """What one step adds to one choice. `logprobs` has one entry a token, the end-of-text token left out."""

    index: int
    text: str
    logprobs: tuple[Json, ...]
    finish_reason: str | None
    tool_calls: tuple[Json, ...] = ()
    """Whole calls; they come with the choice's last piece."""


class Generation:
    """A request that can be sampled: checked by the constructor, counted by `usage`.

    Raises `InvalidRequest`: `context_length_exceeded` for a prompt that leaves no room for an answer, `unsupported_parameter` for
    tools that the model's template does not know.
    """

    def __init__(self, served: Served, request: ChatRequest) -> None:
        self.served = served
        self.request = request
        self.prompt = _prompt(served, request)
        room = served.max_len - len(self.prompt)
        if room < 1:
            raise InvalidRequest(
                f"This model's maximum context length is {served.max_len} tokens. However, your messages resulted in "
                f"{len(self.prompt)} tokens. Please reduce the length of the messages.",
                param="messages",
                code="context_length_exceeded",
            )
        self.max_tokens = min(room, request.max_completion_tokens or request.max_tokens or DEFAULT_MAX_TOKENS)
        self.seeds = _seeds(request.seed, request.n or 1)
        self._check_bias()
        self.format = response_format.parse(request.response_format, "response_format")
        if self.format is not None:
            self.guide()  # a grammar that is too large for this vocabulary is refused before anything is sampled
        opened = served.tokenizer.transcript(self.prompt[-16:]).rstrip().endswith(_OPENS_REASONING)
        self.choices = [Choice(self, index, opened=opened) for index in range(request.n or 1)]
        self._stop = threading.Event()

    def guide(self) -> Guide | None:
        """What holds one choice to the request's format; None where any text will do."""
        return None if self.format is None else self.served.guides().guide(self.format, self.prompt)

    def stop(self) -> None:
        """Sample no further; may be called from any thread."""
        self._stop.set()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to sample."""
        return self._stop.is_set() or all(choice.finish_reason for choice in self.choices)

    @property
    def is_stopped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._stop.is_set()

    def usage(self) -> Json:
        """OpenAI's usage object for what was sampled so far."""
        completion = sum(choice.tokens for choice in self.choices)
        return {
            "prompt_tokens": len(self.prompt),
            "completion_tokens": completion,
            "total_tokens": len(self.prompt) + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": sum(choice.reasoning_tokens for choice in self.choices),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _check_bias(self) -> None:
        vocabulary = self.served.vocab
        if any(token >= vocabulary for token in self.request.logit_bias or ()):
            message = f"Invalid 'logit_bias': the tokens of this model are below {vocabulary}."
            raise InvalidRequest(message, param="logit_bias", code="invalid_value")


class Choice:
    """One choice as it grows."""

    def __init__(self, generation: Generation, index: int, *, opened: bool) -> None:
        request, tokenizer = generation.request, generation.served.tokenizer
        self._text_of = tokenizer.text
        self._stop_ids = tokenizer.stop_ids
        self._max_tokens = generation.max_tokens
        self._stream = TextStream(self._text_of)
        self._answer = AnswerText(opened=opened)
        self._stops = StopStrings(request.stop or ())
        self._calls = ToolCalls(several=request.parallel_tool_calls is not False) if request.tools else None
        self._index = index
        self._logprobs = bool(request.logprobs)
        self.top_logprobs = request.top_logprobs or 0
        self.tokens = 0
        self.reasoning_tokens = 0
        self.finish_reason: str | None = None

    def push(self, token: int, logprob: float, ranked: Ranked = (), *, cut: bool = False) -> Piece:
        """Add a token; with `cut` it is the last whatever it is."""
        self.tokens += 1
        ended = token in self._stop_ids
        last = cut or self.tokens == self._max_tokens
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
        text, calls = self._without_calls(text)
        entries = (self._entry(token, logprob, ranked),) if self._logprobs and not ended else ()
        return Piece(self._index, text, entries, self.finish_reason, calls)

    def _without_calls(self, text: str) -> tuple[str, tuple[Json, ...]]:
        if self._calls is None:
            return text, ()
        text = self._calls.push(text)
        if not self.finish_reason:
            return text, ()
        held, calls = self._calls.finish()
        if calls:
            self.finish_reason = "tool_calls"
        return text + held, calls

    def _entry(self, token: int, logprob: float, ranked: Ranked) -> Json:
        return {**self._spelled(token, logprob), "top_logprobs": [self._spelled(*other) for other in ranked]}

    def _spelled(self, token: int, logprob: float) -> Json:
        text = self._text_of([token])
        whole = "\N{REPLACEMENT CHARACTER}" not in text
        return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if whole else None}


def _prompt(served: Served, request: ChatRequest) -> tuple[int, ...]:
    if request.tools and not has_tools(served.tokenizer.template):
        message = "This model's chat template has no tools, or none in a format that this service reads."
        raise InvalidRequest(message, param="tools", code="unsupported_parameter")
    messages = [for_template(message.model_dump(exclude_unset=True)) for message in request.messages]
    try:
        return served.tokenizer.prompt(messages, request.tools)
    except jinja2.TemplateError as error:
        message = f"The model's chat template refuses these messages: {error}"
        raise InvalidRequest(message, param="messages", code="invalid_value") from error


def _seeds(seed: int | None, count: int) -> tuple[int, ...]:
    """A seed for each choice; the same for the same `seed`."""
    root = secrets.randbits(63) if seed is None else seed
    return tuple(derive(root, "chat", index) for index in range(count))
