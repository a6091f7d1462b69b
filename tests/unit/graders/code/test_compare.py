from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.code.compare import same_output, same_value
from graders.code.values import NotPlain, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.integers(), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("3\n", "3", True),
        ("1 \n2\n\n", "1\n2", True),
        ("1\r\n2", "1\n2", True),
        ("1\n\n2", "1\n2", False),
        (" 1", "1", False),
        ("", "\n", True),
        ("1.0", "1", False),
    ],
)
def test_outputs(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected) is same


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (0.1 + 0.2, 0.3, True),
        (True, 1, False),
        (1, True, False),
        (True, True, True),
        ((1, 2), [1, 2], True),
        ([1, (2,)], [1, [2]], True),
        ([1, 2], [2, 1], False),
        ({2, 1}, [1, 2], True),
        ({1}, [1, 1], False),
        (frozenset(["a"]), ["a"], True),
        ({1: "a"}, {"1": "a"}, True),
        ({"1": "a", 1: "b"}, {"1": "a"}, False),
        ({"a": [1.0000000001]}, {"a": [1]}, True),
        ("1", 1, False),
        (None, None, True),
        (None, False, False),
        (float("nan"), 1.0, False),
        (10**400, 1.5, False),
        (b"a", "a", False),
    ],
)
def test_values(value: Any, expected: Any, same: bool) -> None:
    assert same_value(value, expected) is same


@given(JSON)
def test_a_value_equals_itself(value: Any) -> None:
    assert same_value(value, value)


@given(PLAIN)
def test_a_plain_value_crosses_unchanged(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    "value", [object(), Liar(1), [Liar(1)], type, lambda: 1], ids=["object", "subclass", "in a list", "type", "function"]
)
def test_an_object_does_not_cross(value: Any) -> None:
    with pytest.raises(NotPlain):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        [1],
        {"list": 1},
        {"dict": [[{"list": []}, 1]]},
        {"nope": 1},
        {"list": [], "set": []},
        {"float": 10**400},
        {"complex": []},
        {"bytes": "zz"},
        {"float": "x"},
    ],
    ids=repr,
)
def test_what_no_value_encodes_to_is_refused(data: Any) -> None:
    with pytest.raises(NotPlain):
        decode(data)


def test_depth_has_a_limit() -> None:
    data: Any = 1
    for _ in range(500):
        data = {"list": [data]}
    with pytest.raises(NotPlain):
        decode(data)
