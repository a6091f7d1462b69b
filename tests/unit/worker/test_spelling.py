"""Characters by token."""

from __future__ import annotations

from itertools import accumulate

import pytest

from tests.models import byte_tokenizer
from worker.spelling import Spelling

TOKENIZER = byte_tokenizer()


def text_of(ids: list[int]) -> str:
    return str(TOKENIZER.decode(ids, skip_special_tokens=True))


@pytest.mark.parametrize("text", ["", "a b", "Grüße", "\U0001f600 !", "half \ufffd"])
def test_pieces_make_up_the_text(text: str) -> None:
    tokens = TOKENIZER(text)["input_ids"]
    lengths = Spelling(text_of).lengths(tokens, text)
    assert len(lengths) == len(tokens)
    assert sum(lengths) == len(text)


def test_a_character_counts_for_its_last_token() -> None:
    tokens = TOKENIZER("aü")["input_ids"]
    assert list(accumulate(Spelling(text_of).lengths(tokens, "aü"))) == [1, 1, 2]


def test_a_special_token_writes_nothing() -> None:
    tokens = [*TOKENIZER("ab")["input_ids"], 258]
    assert Spelling(text_of).lengths(tokens, "ab") == (1, 1, 0)


def test_a_character_that_was_cut_off_counts_for_the_end() -> None:
    tokens = TOKENIZER("aü")["input_ids"][:2]
    assert Spelling(text_of).lengths(tokens, "a\ufffd") == (1, 1)
