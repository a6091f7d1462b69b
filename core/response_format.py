"""`response_format`: what a completion has to look like, read from OpenAI's shapes and checked before anything is sampled.

| shape | where it is used |
|---|---|
| `{"type": "json_schema", "json_schema": {"name", "schema", "strict"}}` | chat completions, fine-tuning jobs |
| `{"type": "json_schema", "name", "schema", "strict"}` | `text.format` of responses; jobs take it too |
| `{"type": "json_object"}`, `{"type": "text"}`, null | both |

Schemas are compiled by llguidance to a grammar over bytes. A schema is enforced as it stands, with `strict` or without: one that
the library cannot express is refused rather than enforced in part.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from core.errors import InvalidRequest

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

Json = dict[str, Any]

MAX_SCHEMA_BYTES = 64 * 1024
_ANY_OBJECT: Json = {"type": "object"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WHITESPACE = r" ?|\n {0,24}"
"""Between tokens of JSON: enough for compact and indented writing, too little for a model to lose itself in blanks."""
_SETTINGS: JsonCompileOptions = {"whitespace_pattern": _WHITESPACE, "lenient": False}
_TYPES = ("text", "json_object", "json_schema")


def parser_limits() -> LLParserLimits:
    """Bounds of compiling and following one schema; beyond them a matcher reports an error."""
    # 1 to 2 kB a lexer state: the library's own limit would let one hostile pattern take half a gigabyte.
    return LLParserLimits(max_lexer_states=25_000, verbose_errors=False)


@dataclass(frozen=True)
class ResponseFormat:
    """A completion has to be JSON that this schema admits."""

    schema: str
    """As JSON text, so that formats can be compared and used as keys."""

    @property
    def grammar(self) -> str:
        """Llguidance's grammar of the schema."""
        return LLMatcher.grammar_from_json_schema(self.schema, overrides=_SETTINGS)

    @property
    def steered_schema(self) -> str:
        """The schema with llguidance's settings inside, for engines that give it to that library themselves."""
        return json.dumps({**json.loads(self.schema), "x-guidance": _SETTINGS})


def parse(value: Any, param: str) -> ResponseFormat | None:
    """The format that `value` (standing at `param` of a body) asks for; None where any text will do.

    Raises `InvalidRequest` naming the member at fault, the schema where it cannot be enforced.
    """
    if value is None:
        return None
    kind = _member(value, "type", str, param)
    if kind == "text":
        return None
    if kind == "json_object":
        return _format(_ANY_OBJECT, param)
    if kind != "json_schema":
        message = f"Invalid value: '{kind}'. Supported values are: {', '.join(repr(name) for name in _TYPES)}."
        raise InvalidRequest(message, param=f"{param}.type", code="invalid_value")
    place = param
    if "json_schema" in value:
        value, place = _member(value, "json_schema", dict, param), f"{param}.json_schema"
    elif "name" not in value and "schema" not in value:
        raise _missing(f"{param}.json_schema")
    name = _member(value, "name", str, place)
    if not _NAME.fullmatch(name):
        message = f"Invalid '{place}.name': expected up to 64 letters, digits, underscores and dashes."
        raise InvalidRequest(message, param=f"{place}.name", code="invalid_value")
    return _format(_member(value, "schema", dict, place), f"{place}.schema")


def parsed_json(text: str) -> Any:
    """The JSON value that a completion spells; None where it spells none, as when it was cut off."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _format(schema: Json, param: str) -> ResponseFormat:
    # Members of this name steer the library, and are no part of a schema.
    text = json.dumps({name: value for name, value in schema.items() if name != "x-guidance"})
    if len(text) > MAX_SCHEMA_BYTES:
        message = f"Invalid '{param}': the schema is over the limit of {MAX_SCHEMA_BYTES} bytes."
        raise InvalidRequest(message, param=param, code="invalid_json_schema")
    problem = _problem(text)
    if problem:
        raise InvalidRequest(f"Invalid schema for '{param}': {problem}", param=param, code="invalid_json_schema")
    return ResponseFormat(text)


@lru_cache(maxsize=256)
def _problem(schema: str) -> str:
    """Why completions cannot be held to this schema; empty where they can. A byte a token stands for any tokenizer."""
    try:
        matcher = LLMatcher(_bytes(), ResponseFormat(schema).grammar, limits=parser_limits(), log_level=0)
        if not matcher.is_error():
            matcher.compute_bitmask()
    except ValueError as error:
        return _first_line(str(error))
    return _first_line(matcher.get_error() or "it admits nothing.") if matcher.is_error() else ""


@lru_cache(maxsize=1)
def _bytes() -> LLTokenizer:
    return LLTokenizer("byte")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300]


def _member(value: Any, name: str, kind: type, param: str) -> Any:
    wanted: dict[type, str] = {str: "a string", dict: "an object"}
    if not isinstance(value, dict):
        raise InvalidRequest(f"Invalid type for '{param}': expected an object.", param=param, code="invalid_type")
    path = f"{param}.{name}"
    if value.get(name) is None:
        raise _missing(path)
    if not isinstance(value[name], kind):
        raise InvalidRequest(f"Invalid type for '{path}': expected {wanted[kind]}.", param=path, code="invalid_type")
    return value[name]


def _missing(path: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
