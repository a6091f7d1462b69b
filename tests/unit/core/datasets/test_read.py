"""Every line is a row or a problem, whatever it holds."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.read import MAX_DEPTH, MAX_LINE_BYTES, MAX_TRAILING_BLANK_LINES, Problem, Row, quoted, read_lines


def lines(raw: bytes) -> list[Row | Problem]:
    return list(read_lines(io.BytesIO(raw)))


def problem(raw: bytes) -> str:
    """The message of the one line's problem."""
    (found,) = lines(raw)
    assert isinstance(found, Problem)
    return found.message


def good(raw: bytes) -> list[object]:
    found = lines(raw)
    assert all(isinstance(line, Row) for line in found), found
    return [line.value for line in found if isinstance(line, Row)]


def nested(depth: int) -> bytes:
    """An object of this many levels."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_lines_are_numbered_from_one() -> None:
    assert lines(b'{"a":1}\nx\n{"a":2}\n') == [
        Row(1, {"a": 1}),
        Problem(2, "the line is not valid JSON: Expecting value (column 1)"),
        Row(3, {"a": 2}),
    ]


@pytest.mark.parametrize(
    "raw", [b'{"a":1}\n{"a":2}', b'{"a":1}\n{"a":2}\n', b'{"a":1}\r\n{"a":2}\r\n', b'{"a":1}\n{"a":2}\n\n \r\n\t\n']
)
def test_line_ends_and_blank_lines_at_the_end_do_not_matter(raw: bytes) -> None:
    assert good(raw) == [{"a": 1}, {"a": 2}]


def test_a_byte_order_mark_at_the_start_is_accepted() -> None:
    assert good(b'\xef\xbb\xbf{"a":1}\n') == [{"a": 1}]


def test_a_byte_order_mark_elsewhere_is_a_problem() -> None:
    assert isinstance(lines(b'{"a":1}\n\xef\xbb\xbf{"a":1}\n')[1], Problem)


def test_a_blank_line_between_rows_is_a_problem_with_its_number() -> None:
    assert lines(b"{}\n\n\n{}\n") == [Row(1, {}), Problem(2, "the line is blank"), Row(4, {})]


def test_a_file_of_blank_lines_is_not_read_for_ever() -> None:
    assert lines(b"\n" * (MAX_TRAILING_BLANK_LINES + 2))[-1] == Problem(1, "more than 1000 blank lines")


@pytest.mark.parametrize("raw", [b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_file_without_content_has_no_lines(raw: bytes) -> None:
    assert lines(raw) == []


@pytest.mark.parametrize(
    "raw", [b"{", b'{"a":}', b'{"a":1}}', b'{"a" 1}', b"{'a':1}", b'{"a":1,}', b'{"a":01}', b'{"a":"\t"}', b'{"a":tru}']
)
def test_broken_json_is_a_problem(raw: bytes) -> None:
    assert problem(raw).startswith("the line is not valid JSON: ")


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"text"', b"null"])
def test_what_is_no_object_is_a_problem(raw: bytes) -> None:
    assert problem(raw) == "the line must hold a JSON object"


def test_invalid_utf8_is_a_problem_with_its_place() -> None:
    assert problem(b'{"a":"\xff"}') == "the line is not valid UTF-8 (byte 7)"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_problems(encoding: str) -> None:
    assert all(isinstance(line, Problem) for line in lines('{"a":1}\n'.encode(encoding)))


def test_a_nul_byte_is_a_problem() -> None:
    assert problem(b'{"a":"x\0y"}') == "the line holds a NUL byte"


@pytest.mark.parametrize("name", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_has_not_are_problems(name: bytes) -> None:
    assert problem(b'{"a":' + name + b"}") == f"{name.decode()} is not valid JSON"


def test_a_float_that_overflows_is_a_problem() -> None:
    assert problem(b'{"a":-1e999}') == "the number '-1e999' is too large"


@pytest.mark.parametrize("digits", [301, 100_000])
def test_huge_integers_are_problems(digits: int) -> None:
    assert problem(b'{"a":' + b"9" * digits + b"}") == "an integer has more than 300 digits"


def test_every_accepted_integer_converts_to_a_float() -> None:
    (row,) = good(b'{"a":-' + b"9" * 299 + b"}")
    assert float(row["a"]) < -1e298  # type: ignore[index]


def test_a_repeated_key_is_a_problem() -> None:
    assert problem(b'{"a":{"b":1,"c":2,"b":3}}') == "the key 'b' stands twice in one object"


def test_a_key_repeated_in_another_spelling_is_a_problem() -> None:
    assert problem(rb'{"messages":1,"m\u0065ssages":2}') == "the key 'messages' stands twice in one object"


@pytest.mark.parametrize("text", [rb'{"a":"\ud800"}', rb'{"a":{"\udfff":1}}', rb'{"a":["\uD83D x"]}'])
def test_an_unpaired_surrogate_is_a_problem(text: bytes) -> None:
    assert problem(text) == "the line holds an unpaired surrogate, which is not text"


def test_a_pair_of_surrogates_is_text() -> None:
    assert good(rb'{"a":"\ud83d\ude00"}') == [{"a": "😀"}]


def test_the_deepest_allowed_nesting_is_accepted() -> None:
    assert len(good(nested(MAX_DEPTH))) == 1


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 100_000])
def test_deeper_nesting_is_a_problem(depth: int) -> None:
    assert problem(nested(depth)) == f"the line is nested more than {MAX_DEPTH} levels deep"


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":"' + b'\\"[' * 100_000, b'["' + b"\\" * 100_001 + b"[" * 1000]
)
def test_hostile_brackets_are_a_problem_and_nothing_worse(raw: bytes) -> None:
    problem(raw)


def test_brackets_in_strings_are_text() -> None:
    text = "[{" * 1000 + '"' + "\\" + "[" * 1000
    assert good(json.dumps({"a": text}).encode()) == [{"a": text}]


def test_many_brackets_side_by_side_are_accepted() -> None:
    assert len(good(b'{"a":[' + b"[]," * 1000 + b"[]]}")) == 1


def test_the_longest_allowed_line_is_accepted() -> None:
    assert len(good(b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}\n')) == 1


@pytest.mark.parametrize("excess", [1, 2, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES])
def test_a_longer_line_is_a_problem_and_the_next_is_read(excess: int) -> None:
    raw = b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8 + excess) + b'"}\n{"b":1}\n'
    assert lines(raw) == [Problem(1, "the line is longer than 1048576 bytes"), Row(2, {"b": 1})]


def test_a_line_over_the_limit_is_not_held() -> None:
    class Endless(io.RawIOBase):
        """A line of 64 limits, that tells the largest piece asked of it."""

        left = 64 * MAX_LINE_BYTES
        largest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.largest = max(self.largest, size)
            piece = b"x" * min(size, self.left)
            self.left -= len(piece)
            return piece

    stream = Endless()
    assert len(list(read_lines(stream))) == 1  # type: ignore[arg-type]
    assert 0 < stream.largest <= MAX_LINE_BYTES + 1


def test_a_message_holds_at_most_200_characters_of_the_file() -> None:
    key = "k" * 100_000
    assert len(problem(f'{{"{key}":1,"{key}":2}}'.encode())) < 200


@pytest.mark.parametrize("text", ["\x1b[2J", "\n", "\u202e", "é" * 100, "\udc80"])
def test_quoted_text_is_harmless(text: str) -> None:
    assert quoted(text).isascii()
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= 83


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    lines(raw)


@given(st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"1", b"a", b"\n"]), max_size=400))
def test_no_arrangement_of_json_s_own_characters_raises(pieces: list[bytes]) -> None:
    lines(b"".join(pieces))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), max_size=5), st.booleans())
def test_what_json_writes_is_read_back(rows: list[dict[str, object]], ascii_only: bool) -> None:
    raw = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()
    assert good(raw) == rows


def test_the_recursion_limit_is_left_alone() -> None:
    before = sys.getrecursionlimit()
    problem(nested(100_000))
    assert sys.getrecursionlimit() == before
