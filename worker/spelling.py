"""Which characters of a completion each of its tokens wrote, for those who look at a text token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.sampler.text import TextStream

_HALF = "\N{REPLACEMENT CHARACTER}"


class Spelling:
    """Counts characters by the texts that tokens have by themselves, each of which is asked for once."""

    def __init__(self, text_of: Callable[[Sequence[int]], str]) -> None:
        self._text_of = text_of
        self._alone: dict[int, str] = {}

    def lengths(self, tokens_T: Sequence[int], text: str) -> tuple[int, ...]:
        """Characters of `text`, which these tokens spell, by token. A character of several tokens counts for the last of them."""
        pieces = [self._piece(token) for token in tokens_T]
        if "".join(pieces) != text or any(_HALF in piece for piece in pieces):
            pieces = self._pieces_of_stream(tokens_T)
        return tuple(map(len, pieces))

    def _piece(self, token: int) -> str:
        """The token's text behind another one: at the start of a text some tokenizers drop its blank."""
        if token not in self._alone:
            before = self._text_of([token])
            self._alone[token] = self._text_of([token, token])[len(before) :]
        return self._alone[token]

    def _pieces_of_stream(self, tokens_T: Sequence[int]) -> list[str]:
        stream = TextStream(self._text_of)
        pieces = [stream.push(token) for token in tokens_T]
        if pieces:
            pieces[-1] += stream.finish()
        return pieces
