"""Guided decoding: which tokens may come next, so that a completion is JSON of a given schema.

Grammars are compiled and followed by llguidance (Earley parsing over a lexer of derivatives, token masks from a trie of the
vocabulary). A row has a matcher of its own; a grammar is compiled once and copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence, Set

import numpy as np
import torch
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from core.errors import InvalidRequest
from core.response_format import ResponseFormat, parser_limits
from worker.rollout.draw import Allowed

KEEP_COMPILED = 32
_OPEN, _CLOSE = "<think>", "</think>"
_TAIL = 8
"""Tokens at the end of a prompt among which a template's opening of the answer stands."""


class Guide:
    """Follows one row. Reasoning before the answer is free: the guide begins behind its end."""

    def __init__(self, matcher: LLMatcher, *, opens: int | None, closes: int | None, reasoning: bool) -> None:
        self._matcher = matcher
        self._opens, self._closes = opens, closes
        self._reasoning = reasoning
        self._begun = False
        self.failed = False
        """The matcher met one of its limits: the row ends with the token at hand, whichever it is."""

    @property
    def is_free(self) -> bool:
        """Whether any token may come now."""
        return self._reasoning

    def fill(self, bitmask: np.ndarray, index: int) -> None:
        """Write the tokens that may come next into row `index` of `bitmask`, a bit a token; all where the guide has failed."""
        fill_next_token_bitmask(self._matcher, bitmask, index)
        if self._matcher.is_error():
            self.failed = True
            bitmask[index] = -1
        elif not self._begun and self._opens is not None:
            bitmask[index, self._opens // 32] |= np.uint32(1 << self._opens % 32).astype(np.int32)

    def push(self, token: int) -> None:
        """Take note of the token that came."""
        if self._reasoning:
            self._reasoning = token != self._closes
            return
        if not self._begun:
            self._begun = True
            if token == self._opens:
                self._reasoning = True
                return
        if not self._matcher.consume_token(token):
            self.failed = True


class Guides:
    """Makes guides for the completions of one model."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, stop_ids: Set[int]) -> None:
        """`vocabulary` is the number of the model's logits."""
        self._vocabulary = vocabulary
        self._tokens = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(stop_ids))
        ids = {name: tokenizer.get_vocab().get(name) for name in (_OPEN, _CLOSE)}
        reasons = None not in ids.values()
        self._opens, self._closes = (ids[_OPEN], ids[_CLOSE]) if reasons else (None, None)
        self._compiled: OrderedDict[ResponseFormat, LLMatcher] = OrderedDict()

    def guide(self, wanted: ResponseFormat, prompt_T: Sequence[int]) -> Guide:
        """A guide for a completion of this prompt, which may have opened the reasoning, or closed it.

        Raises `InvalidRequest` where the grammar is too large for this vocabulary.
        """
        tail = [token for token in prompt_T[-_TAIL:] if token in (self._opens, self._closes)]
        opened = bool(tail) and tail[-1] == self._opens
        return Guide(self._matcher(wanted), opens=None if tail else self._opens, closes=self._closes, reasoning=opened)

    def allowed(self, guides: Sequence[Guide | None], device: torch.device) -> Allowed | None:
        """Where the rows behind `guides` may go; None where all of them are free. Rows whose guide fails now are marked so."""
        bound = [(row, guide) for row, guide in enumerate(guides) if guide is not None and not guide.is_free]
        if not bound:
            return None
        bitmask = allocate_token_bitmask(len(bound), self._vocabulary)
        for index, (_, guide) in enumerate(bound):
            guide.fill(bitmask, index)
        return Allowed(torch.tensor([row for row, _ in bound], device=device), self._unpacked(bitmask).to(device))

    def _unpacked(self, bitmask: np.ndarray) -> Tensor:
        bits = np.unpackbits(bitmask.view(np.uint8), axis=1, count=self._vocabulary, bitorder="little")
        return torch.from_numpy(bits).view(torch.bool)

    def _matcher(self, wanted: ResponseFormat) -> LLMatcher:
        if wanted not in self._compiled:
            matcher = LLMatcher(self._tokens, wanted.grammar, limits=parser_limits(), log_level=0)
            if matcher.is_error():
                message = f"Invalid schema for 'response_format': {matcher.get_error().splitlines()[0][:300]}"
                raise InvalidRequest(message, param="response_format", code="invalid_json_schema")
            while len(self._compiled) >= KEEP_COMPILED:
                self._compiled.popitem(last=False)
            self._compiled[wanted] = matcher
        self._compiled.move_to_end(wanted)
        return self._compiled[wanted].deep_copy()
