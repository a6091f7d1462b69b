from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sampler.text import AnswerText, StopStrings, TextStream


def decode(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def pieces_of(text: bytes) -> list[str]:
    stream = TextStream(decode)
    return [*(stream.push(byte) for byte in text), stream.finish()]


@given(st.binary(max_size=40))
def test_pieces_join_to_the_text_of_all_tokens(text: bytes) -> None:
    assert "".join(pieces_of(text)) == decode(text)


def test_a_character_of_several_tokens_comes_whole() -> None:
    assert [piece for piece in pieces_of("a€b".encode()) if piece] == ["a", "€", "b"]


def test_half_a_character_at_the_end_is_given_out_as_a_replacement() -> None:
    assert pieces_of("€".encode()[:2])[-1] == "\N{REPLACEMENT CHARACTER}"


def test_a_tokenizer_that_drops_the_first_space_keeps_inner_ones() -> None:
    words = ["▁one", "▁two", "▁three"]
    stream = TextStream(lambda tokens: "".join(words[token] for token in tokens).replace("▁", " ").removeprefix(" "))

    assert "".join(stream.push(token) for token in range(3)) == "one two three"


def cut(pieces: Sequence[str], stops: Sequence[str]) -> tuple[list[str], bool]:
    stop = StopStrings(stops)
    given_out = [stop.push(piece) for piece in pieces]
    return [*given_out, stop.finish()], stop.met


@given(st.lists(st.text("ab.", max_size=3), max_size=8), st.lists(st.text("ab.", min_size=1, max_size=3), max_size=4))
def test_what_is_given_out_ends_before_the_first_stop_string(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    first_end = next((end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)), None)

    given_out, met = cut(pieces, stops)

    joined = "".join(given_out)
    assert text.startswith(joined)
    assert met == (first_end is not None)
    assert not any(stop in joined for stop in stops)
    if first_end is None:
        assert joined == text


def test_the_beginning_of_a_stop_string_is_held_back() -> None:
    assert cut(["one EN", "D two"], ["END"]) == (["one ", "", ""], True)


def test_what_was_held_back_in_vain_is_given_out() -> None:
    assert cut(["one EN", "TER"], ["END"]) == (["one ", "ENTER", ""], False)


def answer_of(pieces: Sequence[str], *, opened: bool = False) -> tuple[str, bool]:
    answer = AnswerText(opened=opened)
    return "".join([*(answer.push(piece) for piece in pieces), answer.finish()]), answer.reasoning_ended


@pytest.mark.parametrize(
    ("pieces", "opened", "expected"),
    [
        (["plain ", "text"], False, ("plain text", False)),
        (["<thi", "nk>so", " </th", "ink>\n", "\nyes\n\nno"], False, ("yes\n\nno", True)),
        (["so</think>", "yes"], True, ("yes", True)),
        (["<thin", " ice"], False, ("<thin ice", False)),
        (["<think>", "for ever"], False, ("<think>for ever", False)),
        (["\n", "<think>a</think>b"], False, ("b", True)),
        ([], False, ("", False)),
    ],
)
def test_reasoning_is_no_part_of_the_answer(pieces: list[str], opened: bool, expected: tuple[str, bool]) -> None:
    assert answer_of(pieces, opened=opened) == expected


def test_plain_text_is_not_held_back() -> None:
    assert AnswerText(opened=False).push("Hello") == "Hello"
