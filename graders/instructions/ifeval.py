"""The 25 constraints of IFEval (Zhou et al., 2023, "Instruction-Following Evaluation for Large Language Models").

Our own code after the paper. Keywords, phrases and markers are taken as they stand, never as patterns.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Annotated

import langdetect
from pydantic import Field

from graders.instructions.constraint import Count, Ordinal, Relation, Text, Texts, constraint, holds
from graders.instructions.text import sentences, tokens, words

_FENCES = ("```json", "```Json", "```JSON", "```")
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_DETECTABLE = 10_000
"""Characters by which a language is told."""

# langdetect draws at random; with a seed the same text has the same language for ever.
langdetect.DetectorFactory.seed = 0
_profiles = threading.Lock()


@constraint("keywords:existence")
def keywords_existence(text: str, *, keywords: Texts) -> bool:
    """Every keyword occurs, in any case."""
    lowered = text.lower()
    return all(keyword.lower() in lowered for keyword in keywords)


@constraint("keywords:frequency")
def keywords_frequency(text: str, *, keyword: Text, frequency: Count, relation: Relation) -> bool:
    """A keyword occurs so often, in any case."""
    return holds(relation, text.lower().count(keyword.strip().lower()), frequency)


@constraint("keywords:forbidden_words")
def forbidden_words(text: str, *, forbidden_words: Texts) -> bool:
    """None of the words occurs as a word of its own, in any case."""
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


@constraint("keywords:letter_frequency")
def letter_frequency(
    text: str, *, letter: Annotated[str, Field(min_length=1, max_length=1)], let_frequency: Count, let_relation: Relation
) -> bool:
    """A letter occurs so often, in any case."""
    return holds(let_relation, text.lower().count(letter.lower()), let_frequency)


@constraint("language:response_language")
def response_language(text: str, *, language: Annotated[str, Field(min_length=2, max_length=8)]) -> bool:
    """The text is in one language, named by its ISO 639-1 code. A text without letters is in every language."""
    return _language(text) in (language, None)


@constraint("length_constraints:number_sentences")
def number_sentences(text: str, *, num_sentences: Count, relation: Relation) -> bool:
    """It has so many sentences."""
    return holds(relation, len(sentences(text)), num_sentences)


@constraint("length_constraints:number_paragraphs")
def number_paragraphs(text: str, *, num_paragraphs: Count) -> bool:
    """It has exactly so many paragraphs, divided by `***`."""
    paragraphs = [paragraph.strip() for paragraph in text.split("***")]
    inner = paragraphs[1:-1]
    return all(inner) and len([paragraph for paragraph in paragraphs if paragraph]) == num_paragraphs


@constraint("length_constraints:number_words")
def number_words(text: str, *, num_words: Count, relation: Relation) -> bool:
    """It has so many words."""
    return holds(relation, len(words(text)), num_words)


@constraint("length_constraints:nth_paragraph_first_word")
def nth_paragraph_first_word(text: str, *, num_paragraphs: Count, nth_paragraph: Ordinal, first_word: Text) -> bool:
    """It has exactly so many paragraphs, divided by blank lines, and one of them starts with this word."""
    paragraphs = text.split("\n\n")
    filled = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if filled != num_paragraphs or nth_paragraph > filled:
        return False
    opening = paragraphs[nth_paragraph - 1].split()
    if not opening:
        return False
    word = re.split(r"[.,?!'\"]", opening[0].lstrip("'").lstrip('"'), maxsplit=1)[0]
    return word.lower() == first_word.lower()


@constraint("detectable_content:number_placeholders")
def number_placeholders(text: str, *, num_placeholders: Count) -> bool:
    """It has at least so many placeholders in square brackets, each within a line."""
    return sum(1 for _ in _bracketed(text)) >= num_placeholders


def _bracketed(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        position = 0
        while (start := line.find("[", position)) >= 0 and (end := line.find("]", start)) >= 0:
            yield line[start : end + 1]
            position = end + 1


@constraint("detectable_content:postscript")
def postscript(text: str, *, postscript_marker: Text) -> bool:
    """A postscript follows its marker; `P.S.` and `P.P.S` may be written with blanks."""
    lowered = text.lower()
    if postscript_marker == "P.P.S":
        return re.search(r"p\.\s?p\.\s?s", lowered) is not None
    if postscript_marker == "P.S.":
        return re.search(r"p\.\s?s\.", lowered) is not None
    return postscript_marker.strip().lower() in lowered


@constraint("detectable_format:number_bullet_lists")
def number_bullet_lists(text: str, *, num_bullets: Count) -> bool:
    """It has exactly so many bullet points: lines that start with `*` or `-`."""
    lines = [line.strip() for line in text.split("\n")]
    return sum(line.startswith("-") or (line[:1] == "*" and line[1:2] not in ("", "*")) for line in lines) == num_bullets


@constraint("detectable_format:constrained_response")
def constrained_response(text: str) -> bool:
    """It gives one of the three set answers."""
    return any(answer in text for answer in _ANSWERS)


@constraint("detectable_format:number_highlighted_sections")
def number_highlighted_sections(text: str, *, num_highlights: Count) -> bool:
    """It has at least so many parts within single or double asterisks, each within a line."""
    single = [part for part in re.findall(r"\*([^\n*]*)\*", text) if part.strip()]
    double = [part for part in re.findall(r"\*\*([^\n*]*)\*\*", text) if part.strip()]
    return len(single) + len(double) >= num_highlights


@constraint("detectable_format:multiple_sections")
def multiple_sections(text: str, *, section_spliter: Text, num_sections: Count) -> bool:
    """It has at least so many sections, each with its marker and a number."""
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d", text)) >= num_sections


@constraint("detectable_format:json_format")
def json_format(text: str) -> bool:
    """It is JSON and nothing else, in a fence or not."""
    body = text.strip()
    for fence in _FENCES:
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


@constraint("detectable_format:title")
def title(text: str) -> bool:
    """It has a title in double angular brackets."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<> ").strip():
            return True
    return False


@constraint("combination:two_responses")
def two_responses(text: str) -> bool:
    """It gives two different answers, divided by six asterisks."""
    parts = [part.strip() for part in text.split("******")]
    answers = [part for part in parts if part]
    return all(parts[1:-1]) and len(answers) == 2 and answers[0] != answers[1]


@constraint("combination:repeat_prompt")
def repeat_prompt(text: str, *, prompt_to_repeat: Text) -> bool:
    """It starts with the request, word for word."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


@constraint("startend:end_checker")
def end_checker(text: str, *, end_phrase: Text) -> bool:
    """It ends with this phrase, in any case."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


@constraint("startend:quotation")
def quotation(text: str) -> bool:
    """All of it stands in double quotation marks."""
    stripped = text.strip()
    return len(stripped) > 1 and stripped[0] == stripped[-1] == '"'


@constraint("change_case:capital_word_frequency")
def capital_word_frequency(text: str, *, capital_frequency: Count, capital_relation: Relation) -> bool:
    """So many words are in capitals; a hyphenated word is one."""
    return holds(capital_relation, sum(token.isupper() for token in tokens(text)), capital_frequency)


@constraint("change_case:english_capital")
def english_capital(text: str) -> bool:
    """It is English, in capitals."""
    return text.isupper() and _language(text) in ("en", None)


@constraint("change_case:english_lowercase")
def english_lowercase(text: str) -> bool:
    """It is English, in small letters."""
    return text.islower() and _language(text) in ("en", None)


@constraint("punctuation:no_comma")
def no_comma(text: str) -> bool:
    """It has no comma."""
    return "," not in text


def _language(text: str) -> str | None:
    """ISO 639-1 code of the likeliest language; None where there is nothing to tell it by."""
    try:
        with _profiles:  # the first call loads the languages' profiles into a global
            code: str = langdetect.detect(text[:_DETECTABLE])
    except langdetect.LangDetectException:
        return None
    return code
