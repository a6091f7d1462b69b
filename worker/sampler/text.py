"""Tokens to text as they come: no half characters, no reasoning, and no text at or behind a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\N{REPLACEMENT CHARACTER}"
_OPEN, _CLOSE = "<think>", "</think>"


class TextStream:
    """Text of a growing list of tokens. What it has given out never changes: joined, it is the text of all tokens."""

    def __init__(self, text_of: Callable[[Sequence[int]], str]) -> None:
        self._text_of = text_of
        self._tokens: list[int] = []
        self._context = 0
        """Tokenizers may write a token differently at the start of a text, so decoding begins one piece before the new one."""
        self._given = 0

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character of several tokens is not whole."""
        self._tokens.append(token)
        fresh = self._fresh()
        return "" if fresh.endswith(_HALF) else self._give(fresh)

    def finish(self) -> str:
        """What is left when no token follows, half characters as U+FFFD."""
        return self._give(self._fresh())

    def _fresh(self) -> str:
        before = self._text_of(self._tokens[self._context : self._given])
        return self._text_of(self._tokens[self._context :])[len(before) :]

    def _give(self, fresh: str) -> str:
        if fresh:
            self._context, self._given = self._given, len(self._tokens)
        return fresh


class AnswerText:
    """Keeps reasoning back: from `<think>`, or the start where the prompt opened it, to `</think>` and line breaks behind it.

    Reasoning that never ends is given out at the end, as graders see it (`core.reasoning.answer`).
    """

    def __init__(self, *, opened: bool) -> None:
        self._held = ""
        self._is_answer = False
        self._opened = opened
        self._at_start = False
        self.reasoning_ended = False

    def push(self, text: str) -> str:
        """The part of the text that is answer for sure."""
        if self._is_answer:
            return self._without_line_breaks(text)
        self._held += text
        begun = self._held.lstrip()
        if not self._opened and not begun.startswith(_OPEN):
            self._is_answer = not _OPEN.startswith(begun)
            return self.finish() if self._is_answer else ""
        if _CLOSE not in self._held:
            return ""
        self.reasoning_ended = self._is_answer = self._at_start = True
        fresh, self._held = self._held.partition(_CLOSE)[2], ""
        return self._without_line_breaks(fresh)

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _without_line_breaks(self, text: str) -> str:
        if self._at_start:
            text = text.lstrip("\n")
            self._at_start = not text
        return text


class StopStrings:
    """Cuts a text in pieces before the first of some strings, and holds back what may be the beginning of one."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._held = ""
        self.met = False

    def push(self, text: str) -> str:
        """The part of the text that is safe to give out; after a stop string was met, nothing."""
        if self.met:
            return ""
        text = self._held + text
        places = [place for string in self._strings if (place := text.find(string)) >= 0]
        if places:
            self.met, self._held = True, ""
            return text[: min(places)]
        kept = self._possible_beginning(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        """The length of the longest end of `text` with which a stop string begins."""
        longest = max((len(string) - 1 for string in self._strings), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(string.startswith(text[-length:]) for string in self._strings):
                return length
        return 0
