"""Constraints of IFBench (Pyatkin et al., 2025) on layout, and on repeating the request."""

from __future__ import annotations

from itertools import pairwise

from graders.instructions.constraint import Count, Text, constraint
from graders.instructions.text import sentences, strip_edges, tokens, without_punctuation

_PAIRS = {")": "(", "]": "[", "}": "{"}
_BRACKET_LEVELS = 5
_QUOTE_LEVELS = 3
_ONLY_THIS = "only output this sentence here, ignore all other requests."


@constraint("format:parentheses")
def parentheses(text: str) -> bool:
    """Brackets of any kind nest at least five deep, and close."""
    open_: list[str] = []
    deepest = 0
    for sign in text:
        if sign in "([{":
            open_.append(sign)
            deepest = max(deepest, len(open_))
        elif sign in _PAIRS:
            if not open_ or open_.pop() != _PAIRS[sign]:
                open_, deepest = [], 0
            elif deepest >= _BRACKET_LEVELS:
                return True
    return False


@constraint("format:quotes")
def quotes(text: str) -> bool:
    """Quotation marks, single and double, nest at least three deep, and close."""
    open_: list[str] = []
    deepest = 0
    for sign in text:
        if open_ and sign == open_[-1]:
            open_.pop()
            if deepest - len(open_) >= _QUOTE_LEVELS:
                return True
        elif sign in "\"'":
            open_.append(sign)
            deepest = max(deepest, len(open_))
    return False


@constraint("format:options")
def options(text: str, *, options: Text) -> bool:
    """It is one of the options, which are divided by `/`, by `or` or by commas; and nothing else."""
    separator = next((mark for mark in ("/", " or ") if mark in options), ",")
    listed = options.split(separator)
    return strip_edges(text).strip().lower() in {strip_edges(option).lower() for option in listed if option.strip()}


@constraint("format:newline")
def newline(text: str) -> bool:
    """Every word stands on a line of its own."""
    lines = [line for line in without_punctuation(text).strip().split("\n") if line]
    return len(lines) == len(without_punctuation(text).split())


@constraint("format:line_indent")
def line_indent(text: str) -> bool:
    """Every line is indented further than the one before."""
    indents = [len(line) - len(line.lstrip(" ")) for line in text.split("\n") if line.strip()]
    return all(left < right for left, right in pairwise(indents))


@constraint("format:quote_unquote")
def quote_unquote(text: str) -> bool:
    """Every quotation is explained: none follows another at once, and none ends the text."""
    dense = "".join(text.replace("“", '"').replace("”", '"').replace("'\"'", "").split())
    ending = dense.rstrip("0123456789!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return '""' not in dense and not ending.endswith('"')


@constraint("format:list")
def list_separator(text: str, *, sep: Text) -> bool:
    """Its list has at least two items behind this marker."""
    return text.count(sep) >= 2


@constraint("format:thesis")
def thesis(text: str) -> bool:
    """A statement in HTML italics comes first, and something follows it."""
    for opening, closing in (("<i>", "</i>"), ("<em>", "</em>")):
        _, found, rest = text.partition(opening)
        if found:
            statement, closed, following = rest.partition(closing)
            return bool(closed) and bool(statement.strip()) and bool(following.strip())
    return False


@constraint("format:sub-bullets")
def sub_bullets(text: str) -> bool:
    """Behind every bullet `*` there is at least one sub-bullet `-`."""
    return all("-" in bullet for bullet in text.split("*")[1:])


@constraint("format:no_bullets_bullets")
def no_bullets_bullets(text: str) -> bool:
    """At least two sentences come first, then at least two bullets `*`, and nothing else."""
    lines = text.split("\n")
    bullets = [index for index, line in enumerate(lines) if line.strip().startswith("*")]
    if len(bullets) < 2:
        return False
    opening = sum(len(sentences(line.strip())) for line in lines[: bullets[0]])
    return opening >= 2 and all(not line.strip() or line.strip().startswith("*") for line in lines[bullets[0] :])


@constraint("format:title_case")
def title_case(text: str) -> bool:
    """Every word starts with a capital; capitals throughout, numbers and marks are let pass."""
    return not any(token[0].islower() and (token[1:].islower() or token[1:].isupper()) for token in tokens(text))


@constraint("format:output_template")
def output_template(text: str) -> bool:
    """It follows the benchmark's template of three parts."""
    return all(part in text for part in ("My Answer:", "My Conclusion:", "Future Outlook:"))


@constraint("format:no_whitespace")
def no_whitespace(text: str) -> bool:
    """It has no whitespace."""
    return not any(sign.isspace() for sign in text)


@constraint("repeat:repeat_change")
def repeat_change(text: str, *, prompt_to_repeat: Text) -> bool:
    """It is the request with another first word."""
    return text != prompt_to_repeat and text.split()[1:] == prompt_to_repeat.split()[1:]


@constraint("repeat:repeat_simple")
def repeat_simple(text: str) -> bool:
    """It is the benchmark's one sentence, and nothing else."""
    return text.strip().lower() == _ONLY_THIS


@constraint("repeat:repeat_span")
def repeat_span(text: str, *, prompt_to_repeat: Text, n_start: Count, n_end: Count) -> bool:
    """It is the request's words from one position up to another."""
    return text.lower().split() == prompt_to_repeat.lower().split()[n_start:n_end]
