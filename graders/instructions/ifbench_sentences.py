"""Constraints of IFBench (Pyatkin et al., 2025) on sentences."""

from __future__ import annotations

from itertools import pairwise

import emoji

from graders.instructions.constraint import Count, Ordinal, Text, constraint
from graders.instructions.text import PUNCTUATION, bare_words, sentences, without_punctuation


@constraint("ratio:sentence_type")
def sentence_type(text: str) -> bool:
    """There are twice as many statements as questions."""
    return _ending(text, ".") == 2 * _ending(text, "?")


@constraint("ratio:sentence_balance")
def sentence_balance(text: str) -> bool:
    """There are as many statements as questions as exclamations."""
    return _ending(text, ".") == _ending(text, "?") == _ending(text, "!")


@constraint("ratio:sentence_words")
def sentence_words(text: str) -> bool:
    """It is three sentences with the same number of characters."""
    found = sentences(text)
    return len(found) == 3 and len({len(sentence) for sentence in found}) == 1


@constraint("sentence:alliteration_increment")
def alliteration_increment(text: str) -> bool:
    """Each sentence has more alliterating words than the one before."""
    counts = [_alliterating(sentence) for sentence in sentences(text)]
    return all(left < right for left, right in pairwise(counts))


def _alliterating(sentence: str) -> int:
    """Words next to a word with the same first letter."""
    initials = [word[0] for raw in sentence.lower().split() if (word := raw.lstrip(f"{PUNCTUATION} "))]
    same = [left == right for left, right in pairwise(initials)]
    return sum(before or after for before, after in zip([False, *same], [*same, False], strict=True))


@constraint("sentence:keyword")
def keyword(text: str, *, word: Text, N: Ordinal) -> bool:
    """The so-manieth sentence holds this word, in any case."""
    found = sentences(text)
    return len(found) >= N and word.strip().lower() in found[N - 1].lower()


@constraint("sentence:increment")
def increment(text: str, *, small_n: Count) -> bool:
    """Each sentence has exactly so many words more than the one before."""
    counts = [len(bare_words(sentence)) for sentence in sentences(text)]
    return bool(counts) and all(right == left + small_n for left, right in pairwise(counts))


@constraint("format:emoji")
def emoji_ends(text: str) -> bool:
    """Each sentence has an emoji at its end; it may stand behind the full stop."""
    pieces = [without_punctuation(sentence).strip() for sentence in sentences(text)]
    if pieces and _is_emoji(pieces[-1]):
        pieces.pop()  # what stands behind the last full stop
        return all(_ends_in_emoji(piece) or _is_emoji(following[:1]) for piece, following in pairwise([*pieces, "😀"]))
    return all(
        _ends_in_emoji(piece) or (index + 1 < len(pieces) and _is_emoji(pieces[index + 1][:1]))
        for index, piece in enumerate(pieces)
    )


def _ends_in_emoji(piece: str) -> bool:
    """An emoji may carry a selector of its own behind it."""
    return _is_emoji(piece[-1:]) or _is_emoji(piece[-2:-1])


def _is_emoji(text: str) -> bool:
    return bool(text) and emoji.is_emoji(text)


def _ending(text: str, mark: str) -> int:
    return sum(sentence.endswith(mark) for sentence in sentences(text))
