from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders.instructions.library import CONSTRAINTS, InvalidInstruction, bind
from tests.unit.graders.instructions.cases import CASES, IFBENCH, IFEVAL

LONG = [
    "\n" * 50_000,
    "* " * 50_000,
    "[" * 100_000,
    "<<" * 50_000,
    '"' * 100_000,
    "A. " * 33_000,
    "a" * 100_000,
    "?!" * 50_000,
    "e.g." * 25_000,
    "Question 1" * 10_000,
    "ß…😀" * 30_000,
]


def texts(kept: bool) -> list[object]:
    return [
        pytest.param(case.id, case.kwargs, text, id=f"{case.id}-{index}")
        for case in CASES
        for index, text in enumerate(case.kept if kept else case.broken)
    ]


@pytest.mark.parametrize(("identifier", "kwargs", "text"), texts(kept=True))
def test_a_text_that_keeps_it(identifier: str, kwargs: dict[str, object], text: str) -> None:
    assert bind(identifier, kwargs)(text) is True


@pytest.mark.parametrize(("identifier", "kwargs", "text"), texts(kept=False))
def test_a_text_that_breaks_it(identifier: str, kwargs: dict[str, object], text: str) -> None:
    assert bind(identifier, kwargs)(text) is False


def test_every_constraint_has_a_case() -> None:
    assert {case.id for case in CASES} == CONSTRAINTS.keys()
    assert (len({case.id for case in IFEVAL}), len({case.id for case in IFBENCH})) == (25, 58)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@settings(max_examples=15)
@given(text=st.text(max_size=80) | st.text(alphabet="aA1.,?! \n*-\"'<>[]()😀", max_size=80))
def test_no_text_is_too_strange(case: object, text: str) -> None:
    assert bind(case.id, case.kwargs)(text) in (True, False)  # type: ignore[attr-defined]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", LONG, ids=lambda text: repr(text[:10]))
def test_no_text_takes_for_ever(text: str) -> None:
    assert all(bind(case.id, case.kwargs)(text) in (True, False) for case in CASES)


def test_keywords_are_no_patterns() -> None:
    check = bind("keywords:existence", {"keywords": ["(a+)+$"]})
    assert (check("a" * 40 + "!"), check("so (a+)+$ it is")) == (False, True)


def test_null_arguments_are_none() -> None:
    assert bind("punctuation:no_comma", {"keywords": None, "num_words": None})("a b")


def test_whole_numbers_may_be_written_as_decimals() -> None:
    assert bind("count:numbers", {"N": 2.0})("1 2")


@pytest.mark.parametrize(
    ("identifier", "kwargs", "field", "message"),
    [
        ("nope:nope", {}, "id", "unknown instruction 'nope:nope'"),
        ("count:numbers", {}, "kwargs.N", "instruction 'count:numbers' needs the argument 'N'"),
        ("count:numbers", {"N": 1, "M": 2}, "kwargs.M", "instruction 'count:numbers' takes no argument 'M'"),
        ("count:numbers", {"N": "many"}, "kwargs.N", "argument 'N' of 'count:numbers'"),
        ("count:numbers", {"N": -1}, "kwargs.N", "argument 'N' of 'count:numbers'"),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": 1, "relation": "about"},
            "kwargs.relation",
            "argument 'relation' of 'keywords:frequency'",
        ),
        ("keywords:existence", {"keywords": []}, "kwargs.keywords", "argument 'keywords' of 'keywords:existence'"),
    ],
)
def test_what_cannot_be_bound(identifier: str, kwargs: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(InvalidInstruction) as caught:
        bind(identifier, kwargs)
    assert caught.value.field == field
    assert str(caught.value).startswith(message)


def test_a_languages_verdict_is_the_same_in_every_thread() -> None:
    check = bind("language:response_language", {"language": "en"})
    text = "per se the end is nigh no"
    verdicts: list[bool] = []
    threads = [threading.Thread(target=lambda: verdicts.extend(check(text) for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(verdicts) == 20
    assert len(set(verdicts)) == 1
