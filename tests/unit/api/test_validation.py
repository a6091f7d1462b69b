from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from api.validation import dotted, validated
from core.errors import InvalidRequest


class Inner(BaseModel):
    text: str


class Outer(BaseModel):
    number: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    content: str | list[Inner] | None = None
    pairs: dict[str, str] = {}
    flag: bool = False


@pytest.mark.parametrize(
    ("value", "param", "message"),
    [
        ({"number": "x"}, "number", "Invalid type for 'number': expected 'auto' or an integer, but got a string instead."),
        ({"number": 0}, "number", "Invalid value for 'number': it should be greater than or equal to 1."),
        ({"content": 1}, "content", "Invalid type for 'content': expected a string or an array, but got an integer instead."),
        ({"content": [{}]}, "content[0].text", "Missing required parameter: 'content[0].text'."),
        ({"pairs": {"a.b": 1}}, "pairs.a.b", "Invalid type for 'pairs.a.b': expected a string, but got an integer instead."),
        ({"flag": 1}, "flag", "Invalid type for 'flag': expected a boolean, but got an integer instead."),
        ({"flag": None}, "flag", "Invalid type for 'flag': expected a boolean, but got null instead."),
        ([], None, None),
    ],
)
def test_the_complaint_names_path_and_type(value: Any, param: str | None, message: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validated(Outer, value)
    assert caught.value.param == param
    assert message is None or caught.value.message == message


def test_the_path_starts_where_the_value_stands() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validated(Outer, {"number": 0}, at=("body", "outer"))
    assert caught.value.param == "body.outer.number"


def test_a_right_value_comes_back_as_the_model() -> None:
    assert validated(Outer, {"number": 3, "content": [{"text": "a"}]}) == Outer(number=3, content=[Inner(text="a")])


def test_indices_stand_in_brackets() -> None:
    assert dotted(("a", 0, "b")) == "a[0].b"
