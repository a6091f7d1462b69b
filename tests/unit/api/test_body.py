from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.body import MAX_BRACKETS, MAX_DEPTH, parse_object
from core.errors import InvalidRequest

# PostgreSQL and UTF-8 have no place for NUL and for half a surrogate pair.
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(st.dictionaries(TEXT, VALUES), st.booleans())
def test_every_sound_object_is_read_as_it_is(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_depth_is_counted_to_the_limit() -> None:
    assert parse_object(nested(MAX_DEPTH))
    with pytest.raises(InvalidRequest):
        parse_object(nested(MAX_DEPTH + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(InvalidRequest):
        assert isinstance(parse_object(raw), dict)


@pytest.mark.parametrize("text", ["\\u0000", "\\\\\\u0000", "\\ud800", "\\udc00\\ud800"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_object(b'{"a": "' + text.encode() + b'"}')


@pytest.mark.parametrize("text", ["\\\\u0000", "\\ud83d\\ude00", "\\u00e9"])
def test_text_that_only_looks_like_it_is_kept(text: str) -> None:
    assert parse_object(b'{"a": "' + text.encode() + b'"}') == {"a": json.loads(f'"{text}"')}


def test_brackets_are_counted_to_the_limit() -> None:
    assert parse_object(b'{"a":[' + b",".join([b"{}"] * (MAX_BRACKETS - 2)) + b"]}")
    with pytest.raises(InvalidRequest):
        parse_object(b'{"a":[' + b",".join([b"{}"] * (MAX_BRACKETS - 1)) + b"]}")
