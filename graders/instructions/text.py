"""How constraints cut a text: words, sentences, lines. Every function takes time in proportion to the text, whatever it holds."""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from nltk.tokenize.destructive import NLTKWordTokenizer

from graders.instructions.vocabulary import ABBREVIATIONS

PUNCTUATION = string.punctuation
_EDGES = PUNCTUATION + " "
_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
_WORD = re.compile(r"\w+")
_END = re.compile(r"[.!?]+[\"'\u201d\u2019)\]]*")
_LONGEST_ABBREVIATION = 12
_tokenizer = NLTKWordTokenizer()


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores."""
    return _WORD.findall(text)


def bare_words(text: str) -> list[str]:
    """What blanks separate once punctuation is taken out."""
    return text.translate(_NO_PUNCTUATION).split()


def strip_edges(word: str) -> str:
    """Without punctuation and blanks at either end."""
    return word.strip(_EDGES)


def without_punctuation(text: str) -> str:
    """All ASCII punctuation taken out."""
    return text.translate(_NO_PUNCTUATION)


def plain(text: str) -> str:
    """Letters without their accents; what is not ASCII then is dropped."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


@lru_cache(maxsize=64)
def tokens(text: str) -> tuple[str, ...]:
    """Penn Treebank tokens, sentence by sentence: punctuation marks and contracted endings are tokens of their own."""
    return tuple(token for sentence in sentences(text) for token in _tokenizer.tokenize(sentence))


@lru_cache(maxsize=64)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences, each with the marks that end it. A full stop inside a number, an address or an abbreviation ends none."""
    flat = " ".join(text.split("\n")).rstrip()
    found, start = [], 0
    for end in _END.finditer(flat):
        if not _ends_sentence(flat, end):
            continue
        found.append(flat[start : end.end()].strip())
        start = end.end()
    found.append(flat[start:].strip())
    return tuple(sentence for sentence in found if sentence)


def _ends_sentence(flat: str, end: re.Match[str]) -> bool:
    if end[0] != ".":
        return True
    before = _word_before(flat, end.start())
    after = flat[end.end() : end.end() + 1]
    if after.islower() or after.isdigit() or (after.isupper() and len(before) == 1):
        return False
    if before.lower() in ABBREVIATIONS:
        return False
    initials = len(before) == 1 or re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]", before) is not None
    return not (initials and before[0].isupper() and before != "I") or end.end() == len(flat)


def _word_before(flat: str, position: int) -> str:
    """The blank-free run before a position, as far as an abbreviation can reach."""
    piece = flat[max(position - _LONGEST_ABBREVIATION, 0) : position]
    return piece.rpartition(" ")[2].lstrip("\"'\u201c\u2018([")
