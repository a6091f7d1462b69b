"""Templates: `{{ item.path }}` and `{{ sample.path }}` inside a grader's strings. Parsed once, rendered for every sample."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from graders.base import FailureKind, Sample

NAMESPACES = ("item", "sample")
MAX_RENDERED = 1 << 20
"""Characters of one rendered template."""
_PATH = re.compile(r"(?P<root>\w+)(?P<rest>(?:\.[\w-]+|\[\d{1,9}\])*)")
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")


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
        for part in self.parts:
            piece = part if isinstance(part, str) else as_text(lookup(part, sample))
            room -= len(piece)
            if room < 0:
                raise RenderError(FailureKind.OTHER, f"a rendered template is longer than {limit} characters")
            pieces.append(piece)
        return "".join(pieces)


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
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError) as error:
        raise RenderError(FailureKind.OTHER, f"a value cannot be written as JSON: {error}") from None


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
