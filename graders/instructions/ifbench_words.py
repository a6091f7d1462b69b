"""Constraints of IFBench (Pyatkin et al., 2025, "Generalizing Verifiable Instruction Following") on words and their number."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Annotated

import syllapy
from pydantic import Field

from graders import wordnet
from graders.instructions.constraint import Count, Ordinal, Text, constraint
from graders.instructions.text import PUNCTUATION, bare_words, sentences, strip_edges, tokens, without_punctuation, words
from graders.instructions.vocabulary import CONJUNCTIONS, PERSON_NAMES, PRONOUNS, STOP_WORDS

Percentage = Annotated[float, Field(ge=0, le=100)]

_PRIMES = frozenset(n for n in range(2, 100) if all(n % d for d in range(2, n)))
_CONSONANT_PAIR = re.compile(r"[bcdfghjklmnpqrstvwxyz]{2}")
_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
_TIMES = (1, 2, 3, 5, 7)


@constraint("count:word_count_range")
def word_count_range(text: str, *, min_words: Count, max_words: Count) -> bool:
    """It has from so many to so many words."""
    return min_words <= len(words(text)) <= max_words


@constraint("count:unique_word_count")
def unique_word_count(text: str, *, N: Count) -> bool:
    """It has at least so many different words."""
    return len({strip_edges(word) for word in text.lower().split()}) >= N


@constraint("count:conjunctions")
def conjunctions(text: str, *, small_n: Count) -> bool:
    """It uses at least so many different coordinating conjunctions."""
    return len(CONJUNCTIONS & {strip_edges(word).lower() for word in text.split()}) >= small_n


@constraint("count:person_names")
def person_names(text: str, *, N: Count) -> bool:
    """It mentions at least so many of the fifty names of the benchmark."""
    return sum(name in text for name in PERSON_NAMES) >= N


@constraint("count:numbers")
def numbers(text: str, *, N: Count) -> bool:
    """It has exactly so many numbers."""
    return len(re.findall(r"\d+", without_punctuation(text))) == N


@constraint("count:punctuation")
def punctuation(text: str) -> bool:
    """It uses every mark among `. , ! ? ; :`, and an interrobang besides."""
    for interrobang in ("?!", "!?", "‽"):
        if interrobang in text:
            return all(mark in text.replace(interrobang, "", 1) for mark in ".,!?;:")
    return False


@constraint("count:pronouns")
def pronouns(text: str, *, N: Count) -> bool:
    """It uses at least so many pronouns."""
    return sum(word in PRONOUNS for word in bare_words(text.replace("/", " ").lower())) >= N


@constraint("count:words_japanese")
def words_japanese(text: str, *, N: Ordinal) -> bool:
    """Every so-manieth word is Japanese."""
    chosen = [strip_edges(word) for word in text.split()[N - 1 :: N]]
    return all(_JAPANESE.search(word) for word in chosen if word and not word.isdigit())


@constraint("count:keywords_multiple")
def keywords_multiple(text: str, *, keyword1: Text, keyword2: Text, keyword3: Text, keyword4: Text, keyword5: Text) -> bool:
    """Five keywords occur once, twice, three, five and seven times."""
    lowered, keywords = text.lower(), (keyword1, keyword2, keyword3, keyword4, keyword5)
    return all(lowered.count(keyword.strip().lower()) == times for keyword, times in zip(keywords, _TIMES, strict=True))


@constraint("ratio:stop_words")
def stop_words(text: str, *, percentage: Percentage) -> bool:
    """At most so many percent of its words are stop words."""
    found = words(text)
    return bool(found) and 100 * sum(word.lower() in STOP_WORDS for word in found) / len(found) <= percentage


@constraint("ratio:overlap")
def overlap(text: str, *, reference_text: Text, percentage: Percentage) -> bool:
    """So many percent (two more or less) of its three-letter sequences are the reference's."""
    mine, theirs = _trigrams(text), _trigrams(reference_text)
    return bool(mine) and abs(100 * len(mine & theirs) / len(mine) - percentage) <= 2


def _trigrams(text: str) -> set[str]:
    return {text[start : start + 3] for start in range(len(text) - 2)}


@constraint("words:alphabet")
def alphabet(text: str) -> bool:
    """Each word starts with the next letter of the alphabet; `A` follows `Z`."""
    initials = [word[0].lower() for word in bare_words(text)]
    if not initials or not "a" <= initials[0] <= "z":
        return False
    return all(chr((ord(initials[0]) - 97 + index) % 26 + 97) == initial for index, initial in enumerate(initials))


@constraint("words:vowel")
def vowel(text: str) -> bool:
    """It is one paragraph with no more than three different vowels."""
    stripped = text.strip()
    return "\n" not in stripped and len(set("aeiou") & set(stripped.lower())) <= 3


@constraint("words:consonants")
def consonants(text: str) -> bool:
    """Every word has two consonants in a row."""
    return all(_CONSONANT_PAIR.search(word) for word in text.lower().split())


@constraint("words:palindrome")
def palindrome(text: str) -> bool:
    """It has at least ten palindromes of five letters or more."""
    return sum(len(word) >= 5 and word == word[::-1] for word in bare_words(text.lower())) >= 10


@constraint("words:prime_lengths")
def prime_lengths(text: str) -> bool:
    """Every word's length is a prime number."""
    return all(len(word) in _PRIMES for word in bare_words(text))


@constraint("words:repeats")
def repeats(text: str, *, small_n: Count) -> bool:
    """No word occurs more than so often."""
    return max(Counter(bare_words(text.lower())).values(), default=0) <= small_n


@constraint("words:odd_even_syllables")
def odd_even_syllables(text: str) -> bool:
    """Words with an odd and with an even number of syllables take turns."""
    parities = [syllapy.count(word) % 2 for word in bare_words(text.lower())]
    return all(left != right for left, right in pairwise(parities))


@constraint("words:no_consecutive")
def no_consecutive(text: str) -> bool:
    """No two words in a row start with the same letter."""
    initials = [word[0] for word in bare_words(text.lower())]
    return all(left != right for left, right in pairwise(initials))


@constraint("words:start_verb")
def start_verb(text: str) -> bool:
    """It starts with a verb, as far as WordNet tells one."""
    opening = words(text)[:1]
    return bool(opening) and opening[0].lower() not in STOP_WORDS and wordnet.load().is_verb(opening[0].lower())


@constraint("words:last_first")
def last_first(text: str) -> bool:
    """The last word of each sentence is the first of the next."""
    pieces = [[strip_edges(word).lower() for word in sentence.strip(f"{PUNCTUATION} ").split()] for sentence in sentences(text)]
    return all(left and right and left[-1] == right[0] for left, right in pairwise(pieces))


@constraint("words:paragraph_last_first")
def paragraph_last_first(text: str) -> bool:
    """Each paragraph ends with the word that it starts with."""
    paragraphs = [strip_edges(paragraph.strip().lower()).split() for paragraph in text.split("\n")]
    return all(paragraph[0] == paragraph[-1] for paragraph in paragraphs if paragraph)


@constraint("words:words_position")
def words_position(text: str, *, keyword: Text) -> bool:
    """Its second token and its second-to-last are this word."""
    found = tokens(text)
    return len(found) > 1 and found[1] == found[-2] == keyword.strip()


@constraint("words:keywords_specific_position")
def keywords_specific_position(text: str, *, keyword: Text, n: Ordinal, m: Ordinal) -> bool:
    """The m-th token of the n-th sentence is this word."""
    found = sentences(text)
    return n <= len(found) and (row := tokens(found[n - 1]))[m - 1 : m] == (keyword.strip(),) and len(row) >= m
