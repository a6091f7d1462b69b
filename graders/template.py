"""Templates: `{{ item.path }}` and `{{ sample.path }}` inside a grader's strings. Parsed once, rendered for every sample."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from graders.base import FailureKind, Sample

NAMESPACES = ("item", "sample")
MAX_RENDERED = 1 << 20
"""Characters of one rendered template."""
_PATH = re.compile(r"(?P<root>\w+)(?P<rest>(?:\.[\w-]+|\[\d{1,9}\])*)")
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")


Piece = Callable[[Sample], str]
"""A part of a template, for one sample."""

_to_json = json.JSONEncoder(ensure_ascii=False).encode


class TemplateSyntaxError(ValueError):
    """The text is not a template: an open `{{`, a path that cannot be read, or an unknown namespace."""


class RenderError(Exception):
    """A sample cannot fill a template; `kind` says which failure that is."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class InvalidVariable(RenderError):
    """The row or the sample has no such value."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(FailureKind.INVALID_VARIABLE, f"'{path}' has no value: {reason}")


class SampleNotJson(RenderError):
    """`sample.output_json` is asked for, but the completion is not JSON."""

    def __init__(self, path: str) -> None:
        super().__init__(FailureKind.SAMPLE_PARSE, f"'{path}' has no value: the completion is not valid JSON")


@dataclass(frozen=True)
class Variable:
    """A place in `item` or `sample`: object keys as strings, list positions as integers."""

    text: str
    root: str
    steps: tuple[str | int, ...]


@dataclass(frozen=True)
class Template:
    """Literal text and variables, in order."""

    parts: tuple[str | Variable, ...]
    _pieces: tuple[Piece, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Made once for each template, because rendering is most of what a cheap grader does.
        object.__setattr__(self, "_pieces", tuple(_piece(part) for part in self.parts))

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template. Raises `TemplateSyntaxError`."""
        parts: list[str | Variable] = []
        position = 0
        while (start := text.find("{{", position)) >= 0:
            end = text.find("}}", start)
            if end < 0:
                raise TemplateSyntaxError("a '{{' is never closed by '}}'")
            parts += [text[position:start], _variable(text[start + 2 : end].strip())]
            position = end + 2
        parts.append(text[position:])
        return cls(tuple(part for part in parts if part != ""))

    def render(self, sample: Sample, *, limit: int = MAX_RENDERED) -> str:
        """The text for one sample. Raises `RenderError`: `InvalidVariable`, `SampleNotJson`, or `OTHER` where it is too long."""
        pieces: list[str] = []
        room = limit
        for piece in self._pieces:
            text = piece(sample)
            room -= len(text)
            if room < 0:
                raise RenderError(FailureKind.OTHER, f"a rendered template is longer than {limit} characters")
            pieces.append(text)
        return pieces[0] if len(pieces) == 1 else "".join(pieces)


def single_variable(text: str) -> Variable:
    """The one variable that a template consists of, for fields that hold a value and no text. Raises `TemplateSyntaxError`."""
    parts = Template.parse(text.strip()).parts
    if len(parts) != 1 or not isinstance(parts[0], Variable):
        raise TemplateSyntaxError("it must be one variable and nothing else, such as {{ item.tests }}")
    return parts[0]


def lookup(variable: Variable, sample: Sample) -> Any:
    """The JSON value a variable names. Raises `InvalidVariable` or `SampleNotJson`."""
    value: Any = sample.item if variable.root == "item" else sample.namespace()
    if variable.root == "sample" and variable.steps[:1] == ("output_json",) and sample.output_json is None:
        _check_null_json(variable, sample)
    for step in variable.steps:
        value = _child(value, step, variable)
    return value


def as_text(value: Any) -> str:
    """How a value stands in a rendered template: strings as they are, everything else as JSON. Raises `RenderError`."""
    if isinstance(value, str):
        return value
    try:
        return int.__repr__(value) if type(value) is int else _to_json(value)
    except (RecursionError, ValueError) as error:
        raise RenderError(FailureKind.OTHER, f"a value cannot be written as JSON: {error}") from None


def _piece(part: str | Variable) -> Piece:
    """How one part becomes text; short ways for the commonest variables."""
    if isinstance(part, str):
        return lambda _: part
    if (part.root, part.steps) == ("sample", ("output_text",)):
        return attrgetter("output_text")
    if part.root == "item" and len(part.steps) == 1 and isinstance(part.steps[0], str):
        return partial(_of_row, part, part.steps[0])
    return lambda sample: as_text(lookup(part, sample))


def _of_row(variable: Variable, key: str, sample: Sample) -> str:
    value = sample.item.get(key)
    return as_text(lookup(variable, sample) if value is None else value)


def _variable(path: str) -> Variable:
    match = _PATH.fullmatch(path)
    if match is None:
        raise TemplateSyntaxError(f"'{path}' is not a path such as item.answer or sample.output_tools[0].function.name")
    if match["root"] not in NAMESPACES:
        raise TemplateSyntaxError(f"'{path}' names the namespace '{match['root']}'; only item and sample exist")
    steps = tuple(key or int(index) for key, index in _STEP.findall(match["rest"]))
    return Variable(path, match["root"], steps)


def _child(value: Any, step: str | int, variable: Variable) -> Any:
    if isinstance(step, str):
        if not isinstance(value, dict) or step not in value:
            raise InvalidVariable(variable.text, f"there is no key '{step}'")
        return value[step]
    if not isinstance(value, list) or step >= len(value):
        raise InvalidVariable(variable.text, f"there is no position {step}")
    return value[step]


def _check_null_json(variable: Variable, sample: Sample) -> None:
    """Tell three reasons for an empty `output_json` apart: not JSON, the JSON `null`, and JSON nobody asked for."""
    try:
        parsed = json.loads(sample.output_text)
    except (ValueError, RecursionError):
        raise SampleNotJson(variable.text) from None
    if parsed is not None:
        raise InvalidVariable(variable.text, "output_json is filled only where the job sets a JSON response_format")
