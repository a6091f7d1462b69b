"""The constraints of IFBench (Pyatkin et al., 2025) that belong to one request each."""

from __future__ import annotations

import calendar
import csv
import io
import re
from itertools import pairwise

from graders.instructions.constraint import constraint
from graders.instructions.text import plain, sentences, strip_edges, without_punctuation
from graders.instructions.vocabulary import CAPITALS

_AFRICAN_COUNTRIES = 52
_QUESTION = re.compile(r"Question \d+[.|):;]?")
_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_SPECIAL = re.compile(r"[^\d\w\s]")


@constraint("custom:multiples")
def multiples(text: str) -> bool:
    """Its numbers are the multiples of 7 from 10 to 50."""
    return re.findall(r"\d+", text.replace(",", ", ")) == [str(n) for n in range(14, 51, 7)]


@constraint("custom:mcq_count_length")
def mcq_count_length(text: str) -> bool:
    """Four questions with five options each, every question longer than the one before, and nothing in front."""
    if not text.startswith("Question"):
        return False
    questions = [question.strip() for question in _QUESTION.split(text) if question.strip()]
    cut = [_question(question) for question in questions]
    lengths = [len(wording) for wording, _ in cut]
    return len(cut) == 4 and all(count == 5 for _, count in cut) and all(left < right for left, right in pairwise(lengths))


def _question(text: str) -> tuple[str, int]:
    """The wording in front of the first option, and the number of options."""
    lines = [line.strip() for line in text.split("\n")]
    marks = [_OPTION.match(line) is not None for line in lines]
    wording = lines[: marks.index(True)] if True in marks else lines
    return " ".join(wording).strip(), sum(marks)


@constraint("custom:reverse_newline")
def reverse_newline(text: str) -> bool:
    """From `Zimbabwe` on there are the countries of Africa, one a line, in reverse order."""
    lines = [strip_edges(line) for line in text.split("\n") if strip_edges(line)]
    start = next((index for index, line in enumerate(lines) if "Zimbabwe" in line), len(lines))
    countries = [plain(line) for line in lines[start:]]
    return len(countries) >= _AFRICAN_COUNTRIES and countries == sorted(countries, reverse=True)


@constraint("custom:word_reverse")
def word_reverse(text: str) -> bool:
    """Read from its last word to its first it is one sentence about the bald eagle."""
    forwards = " ".join(reversed(without_punctuation(text.lower()).split()))
    return "bald eagle" in forwards and len(sentences(forwards)) == 1


@constraint("custom:character_reverse")
def character_reverse(text: str) -> bool:
    """It names the bald eagle backwards."""
    return "elgae dlab" in text.lower()


@constraint("custom:sentence_alphabet")
def sentence_alphabet(text: str) -> bool:
    """Its 26 sentences start with the letters of the alphabet in order."""
    return "".join(sentence[0].lower() for sentence in sentences(text)) == "abcdefghijklmnopqrstuvwxyz"


@constraint("custom:european_capitals_sort")
def european_capitals_sort(text: str) -> bool:
    """The capitals of Europe beyond 45 degrees north, from north to south, divided by commas."""
    return [capital.strip() for capital in plain(text).split(",") if capital.strip()] == list(CAPITALS)


@constraint("custom:csv_city")
def csv_city(text: str) -> bool:
    """CSV with the benchmark's five columns and seven rows."""
    rows = _rows(text)
    return len(rows) == 8 and rows[0] == ["ID", "Country", "City", "Year", "Count"] and all(len(row) == 5 for row in rows)


@constraint("custom:csv_special_character")
def csv_special_character(text: str) -> bool:
    """CSV with the benchmark's five columns and fourteen rows; a field in quotes holds a special character."""
    rows = _rows(text, skipinitialspace=True)
    quoted = any(_SPECIAL.search(field) for field in re.findall(r'"([^"\n]*)"', text.partition("\n")[2]))
    header = ["ProductID", "Category", "Brand", "Price", "Stock"]
    return len(rows) == 15 and rows[0] == header and all(len(row) == 5 for row in rows) and quoted


@constraint("custom:csv_quotes")
def csv_quotes(text: str) -> bool:
    """Tab-separated values with the benchmark's five columns and three rows, every field in quotes."""
    rows = [[field.strip() for field in line.split("\t")] for line in text.strip().split("\n")]
    header = [field.strip('"') for field in rows[0]]
    return (
        len(rows) == 4
        and header == ["StudentID", "Subject", "Grade", "Semester", "Score"]
        and all(len(row) == 5 for row in rows)
        and all(len(field) > 1 and field[0] == field[-1] == '"' for row in rows for field in row)
    )


@constraint("custom:date_format_list")
def date_format_list(text: str) -> bool:
    """Dates of Napoleon's lifetime as YYYY-MM-DD, divided by commas."""
    return all(_is_date(date.strip()) for date in text.strip().split(","))


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    return 1769 <= year <= 1821 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def _rows(text: str, *, skipinitialspace: bool = False) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text), skipinitialspace=skipinitialspace))
    except csv.Error:
        return []
