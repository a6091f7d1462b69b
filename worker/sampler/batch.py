"""Requests sampled side by side: each with its own way of drawing, all in one pass through the model a token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from worker.policy.model import Weights
from worker.rollout.base import PromptGroup
from worker.rollout.decode import SHRINK, Decoder
from worker.rollout.draw import RowUniforms, draw
from worker.sampler.engine import ServedWeights
from worker.sampler.generation import Generation, Piece, Ranked
from worker.sampler.request import ChatRequest


class Part:
    """Some choices of one request, and how their tokens are drawn. They share the prompt's computation."""

    def __init__(self, generation: Generation, weights: Weights, choices: range) -> None:
        self.generation = generation
        self.group = PromptGroup(generation.prompt, generation.seeds[choices.start : choices.stop])
        self._choices = [generation.choices[index] for index in choices]
        self._guides = [generation.guide() for _ in choices]
        self._uniforms = RowUniforms(self.group.seeds_G)
        self._penalties = _Penalties(generation.request, weights, len(choices))
        self._position = 0
        self._lines = list(range(len(choices)))
        """The choice behind each line that the part has in its batch."""

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def columns_to_come(self) -> int:
        """Positions that its lines may still grow by."""
        return self.generation.max_tokens - self._position

    def is_done(self, line: int) -> bool:
        """Whether this line is sampled no further."""
        return self.generation.is_stopped or self._choices[self._lines[line]].finish_reason is not None

    def keep(self, lines: Sequence[int]) -> None:
        """Drop all other lines."""
        self._lines = [self._lines[line] for line in lines]

    def draw(self, logits: Tensor) -> tuple[Tensor, list[Piece]]:
        """A token for each line [lines] from its logits [lines, vocabulary] (overwritten), and what that adds to the choices."""
        request = self.generation.request
        temperature = 1.0 if request.temperature is None else request.temperature
        self._penalties.apply(logits, self._lines)
        ranked = _ranked(logits, temperature, request.top_logprobs or 0)
        guides = [None if self.is_done(line) else self._guides[row] for line, row in enumerate(self._lines)]
        allowed = self.generation.served.guides().allowed(guides, logits.device) if any(guides) else None
        uniforms = self._uniforms.at(self._position)[self._lines]
        tokens, logprobs = draw(logits, uniforms, temperature, 1.0 if request.top_p is None else request.top_p, allowed)
        self._penalties.count(tokens, self._lines)
        self._position += 1
        return tokens, list(self._pieces(tokens.tolist(), logprobs.tolist(), ranked))

    def _pieces(self, tokens: list[int], logprobs: list[float], ranked: Sequence[Ranked]) -> Iterator[Piece]:
        for line, (row, token, logprob) in enumerate(zip(self._lines, tokens, logprobs, strict=True)):
            if self.is_done(line):
                continue
            guide = self._guides[row]
            if guide is not None:
                guide.push(token)
            others = ranked[line] if ranked else ()
            yield self._choices[row].push(token, logprob, others, cut=guide is not None and guide.failed)


class Batch:
    """The requests that are sampled on one set of weights; more may come in between any two tokens."""

    def __init__(self, served: ServedWeights) -> None:
        self.served = served
        self._decoder = Decoder(served.weights)
        self._parts: list[Part] = []
        self._joining: list[Part] = []

    @property
    def parts(self) -> list[Part]:
        """What is sampled, and what will be from the next step on."""
        return [*self._parts, *self._joining]

    def add(self, part: Part) -> None:
        """Sample this as well, from the next step on."""
        self._joining.append(part)

    def positions(self, part: Part | None = None) -> int:
        """Positions that the cache may come to hold, at most, with one more part or as it is."""
        parts = [*self.parts, *([] if part is None else [part])]
        ahead = max((other.columns_to_come for other in parts), default=0)
        prompts = max((len(other.group.prompt_T) for other in parts), default=0)
        return len(parts) * prompts + sum(map(len, parts)) * (self._decoder.columns + ahead)

    @torch.inference_mode()
    def step(self) -> list[tuple[Part, list[Piece]]]:
        """One token for every choice that is not finished; returns what that adds, part by part."""
        self._join()
        self._leave(always=any(part.generation.is_stopped for part in self._parts))
        if not self._parts:
            return []
        logits = self._decoder.logits().split([len(part) for part in self._parts])
        drawn = [part.draw(own) for part, own in zip(self._parts, logits, strict=True)]
        made = [(part, pieces) for part, (_, pieces) in zip(self._parts, drawn, strict=True)]
        kept = self._leave(always=False)
        if self._parts:
            self._decoder.advance(torch.cat([tokens for tokens, _ in drawn])[kept])
        return made

    def _join(self) -> None:
        if self._joining:
            room = max(part.generation.max_tokens for part in self._joining)
            self._decoder.join([part.group for part in self._joining], room)
            self._parts, self._joining = self.parts, []

    def _leave(self, *, always: bool) -> list[int]:
        """Take finished lines out where that pays for a copy of the cache, or `always`; returns the lines that are left."""
        lines = [(part, line) for part in self._parts for line in range(len(part))]
        alive = [index for index, (part, line) in enumerate(lines) if not part.is_done(line)]
        if len(alive) == len(lines) or (not always and len(alive) > SHRINK * len(lines)):
            return list(range(len(lines)))
        for part in self._parts:
            part.keep([line for line in range(len(part)) if not part.is_done(line)])
        self._parts = [part for part in self._parts if len(part)]
        self._decoder.keep(alive)
        return alive


class _Penalties:
    """OpenAI's `logit_bias`, `frequency_penalty` and `presence_penalty`, over the completion's own tokens."""

    def __init__(self, request: ChatRequest, weights: Weights, rows: int) -> None:
        self._frequency, self._presence = request.frequency_penalty or 0.0, request.presence_penalty or 0.0
        self._counts: Tensor | None = None
        if self._frequency or self._presence:
            self._counts = weights.embed.new_zeros(rows, weights.config.vocab)
        self._bias: Tensor | None = None
        if request.logit_bias:
            self._bias = weights.embed.new_zeros(weights.config.vocab)
            self._bias[list(request.logit_bias)] = self._bias.new_tensor(list(request.logit_bias.values()))

    def apply(self, logits: Tensor, lines: Sequence[int]) -> None:
        """Change the logits [lines, vocabulary] in place."""
        if self._bias is not None:
            logits.add_(self._bias)
        if self._counts is not None:
            counts = self._counts[lines]
            logits.sub_(counts * self._frequency + (counts > 0) * self._presence)

    def count(self, tokens: Tensor, lines: Sequence[int]) -> None:
        """Take note of the tokens [lines] that came."""
        if self._counts is not None:
            self._counts[lines, tokens] += 1


def _ranked(logits: Tensor, temperature: float, count: int) -> list[Ranked]:
    """The likeliest tokens of each line; empty where none are asked for."""
    if not count:
        return []
    top = (logits / (temperature or 1.0)).log_softmax(dim=1).topk(min(count, logits.shape[1]), dim=1)
    return [list(zip(*line, strict=True)) for line in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
