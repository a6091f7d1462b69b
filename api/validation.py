"""Checking a client's values, and complaining in OpenAI's words: what is wrong, and at which path of the body."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import InvalidRequest

Location = tuple[int | str, ...]
M = TypeVar("M", bound=BaseModel)

_NOUNS = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "dict": "an object",
    "model": "an object",
    "list": "an array",
}


def validated(model: type[M], value: Any, *, at: Location = ()) -> M:
    """`value` as a `model`, without coercion of types; raises `InvalidRequest` naming the path of the first thing wrong.

    `at` is where the value stands in the client's body.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        errors: list[Mapping[str, Any]] = [{**item, "loc": _without_tags(item, value)} for item in error.errors()]
        raise complaint(errors, at=at) from None


def complaint(errors: Sequence[Mapping[str, Any]], *, at: Location = ()) -> InvalidRequest:
    """The first of pydantic's complaints. Of a union's branches the one speaks that followed the value furthest."""
    first = errors[0]["loc"]
    location = max((error["loc"] for error in errors if error["loc"][: len(first)] == first), key=len)
    branches = [error for error in errors if error["loc"] == location]
    error, kind = branches[-1], str(branches[-1]["type"])
    path = dotted((*at, *error["loc"])) or None
    if kind == "missing":
        return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
    if kind == "extra_forbidden":
        return InvalidRequest(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    if kind.endswith(("_type", "_parsing")):
        wanted = " or ".join(_wanted(branch) for branch in branches)
        message = f"Invalid type for '{path}': expected {wanted}, but got {described(error['input'])} instead."
        return InvalidRequest(message, param=path, code="invalid_type")
    reason = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "it should").rstrip(".")
    return InvalidRequest(f"Invalid value for '{path}': {reason}.", param=path, code="invalid_value")


def dotted(location: Location) -> str:
    """`("a", "b", 0, "c")` as clients write it: `a.b[0].c`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def described(value: Any) -> str:
    """The JSON type of a value, with its article."""
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", dict: "an object", list: "an array"}
    return names.get(type(value), "null")


def _wanted(error: Mapping[str, Any]) -> str:
    kind = str(error["type"])
    return str(error["ctx"]["expected"]) if kind == "literal_error" else _NOUNS.get(kind.rsplit("_", 1)[0], "another type")


def _without_tags(error: Mapping[str, Any], value: Any) -> Location:
    """The error's location without pydantic's names of union branches, which are no part of the client's path."""
    path: list[int | str] = []
    location = error["loc"]
    for position, part in enumerate(location):
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int)
        if is_key or is_index:
            value = value[part]
        elif not (error["type"] == "missing" and position == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)
