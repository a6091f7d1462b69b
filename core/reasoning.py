"""Reasoning: what a model writes before `</think>` is its own business, not part of the answer that is graded and shown."""

from __future__ import annotations

_END = "</think>"


def answer(text: str) -> str:
    """The text behind the last end of reasoning; all of it where the model does not reason."""
    return text.rpartition(_END)[2].lstrip("\n") if _END in text else text


def reasoning_share(text: str) -> float:
    """Which share of the text, by characters, is reasoning."""
    return 1 - len(answer(text)) / len(text) if _END in text else 0.0
