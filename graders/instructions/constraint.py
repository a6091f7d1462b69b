"""The table of constraints: a name as the benchmarks write it, a function, and the arguments that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

Json = dict[str, Any]

Count = Annotated[int, Field(ge=0)]
Ordinal = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=1000)]
Relation = Literal["less than", "at least"]

Check = Callable[[str], bool]
"""Whether a text keeps a constraint."""


class InvalidInstruction(ValueError):
    """No such constraint, or arguments that it cannot take; `field` is `id` or the path within the arguments."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Constraint:
    """One verifiable constraint."""

    id: str
    function: Callable[..., bool]
    arguments: type[BaseModel]


CONSTRAINTS: dict[str, Constraint] = {}
"""By id; filled as the modules that define them are imported."""


def constraint(identifier: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Enter a function `(text, *, arguments) -> bool` into the table. Its keyword arguments' types are what it accepts."""

    def enter(function: Callable[..., bool]) -> Callable[..., bool]:
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        model = create_model(f"Arguments of {identifier}", __config__=ConfigDict(extra="forbid"), **fields)
        CONSTRAINTS[identifier] = Constraint(identifier, function, model)
        return function

    return enter


def bind(identifier: str, kwargs: Mapping[str, Any] | None) -> Check:
    """The check of a constraint with its arguments. Raises `InvalidInstruction`.

    Arguments that are null are left out: the data sets fill up every row with the names of all other constraints' arguments.
    """
    found = CONSTRAINTS.get(identifier)
    if found is None:
        raise InvalidInstruction("id", f"unknown instruction '{identifier[:100]}'")
    given = {name: value for name, value in (kwargs or {}).items() if value is not None}
    try:
        arguments = found.arguments.model_validate(given)
    except ValidationError as error:
        raise _invalid(identifier, error) from None
    return partial(found.function, **{name: getattr(arguments, name) for name in found.arguments.model_fields})


def holds(relation: str, number: int, threshold: int) -> bool:
    """`less than` or `at least`."""
    return number < threshold if relation == "less than" else number >= threshold


def _invalid(identifier: str, error: ValidationError) -> InvalidInstruction:
    first = error.errors(include_url=False)[0]
    path = ".".join(["kwargs", *map(str, first["loc"])])
    if first["type"] == "missing":
        return InvalidInstruction(path, f"instruction '{identifier}' needs the argument '{first['loc'][0]}'")
    if first["type"] == "extra_forbidden":
        return InvalidInstruction(path, f"instruction '{identifier}' takes no argument '{first['loc'][0]}'")
    return InvalidInstruction(path, f"argument '{first['loc'][0]}' of '{identifier}': {first['msg'].lower()}")
