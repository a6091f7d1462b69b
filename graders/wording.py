"""OpenAI's wording of what is wrong with a request's field."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import InvalidRequest

_JSON_NAMES: list[tuple[type, str]] = [
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a decimal"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
]
_EXPECTED = {
    "string_type": "a string",
    "literal_error": "a string",
    "float_type": "a number",
    "int_type": "an integer",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "an array",
}


def missing(path: str) -> InvalidRequest:
    """A required field is absent."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def invalid_type(path: str, expected: str, value: object) -> InvalidRequest:
    """A field holds another JSON type; `expected` with its article, e.g. "an object"."""
    got = next((name for kind, name in _JSON_NAMES if isinstance(value, kind)), "null")
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return InvalidRequest(message, param=path, code="invalid_type")


def invalid_value(path: str, value: str, choices: Sequence[str]) -> InvalidRequest:
    """A string outside its choices."""
    listed = ", ".join(f"'{choice}'" for choice in choices[:-1])
    return one_of(path, value, f"{listed} and '{choices[-1]}'")


def one_of(path: str, value: str, choices: str) -> InvalidRequest:
    """A string outside its choices, already listed as text."""
    message = f"Invalid value: '{value}'. Supported values are: {choices}."
    return InvalidRequest(message, param=path, code="invalid_value")


def type_phrase(pydantic_kind: str) -> str:
    """What pydantic's error kind says was expected, with its article."""
    return _EXPECTED.get(pydantic_kind, "another type")
