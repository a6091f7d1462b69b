"""The JSON body of a request, read with bounds: depth, numbers and text that could not be stored or echoed are refused."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api.validation import described
from core.errors import InvalidRequest

Json = dict[str, Any]

MAX_DEPTH = 64
MAX_BRACKETS = 250_000
"""Objects and lists together. Three bytes of JSON can become seventy of memory, so the length alone bounds too little."""
_AT_ONCE = 64 * 1024
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


async def json_body(request: Request) -> Json:
    """The body as an object; raises `InvalidRequest` (400) where it is anything else."""
    raw = await _raw_body(request)
    if not raw.strip():
        raise InvalidRequest("The request has no body: expected a JSON object.", code="missing_body")
    _check_kind(request)
    return await _parsed(raw)


async def optional_json_body(request: Request) -> Json:
    """The same where all fields have defaults: no body is an empty object."""
    raw = await _raw_body(request)
    if not raw:
        return {}
    _check_kind(request)
    return await _parsed(raw)


JsonBody = Annotated[Json, Depends(json_body)]
OptionalJsonBody = Annotated[Json, Depends(optional_json_body)]


async def _raw_body(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        message = f"The body is encoded as '{encoding[:32]}': send it as it is, without a content-encoding."
        raise InvalidRequest(message, code="unsupported_content_encoding")
    return await request.body()


def _check_kind(request: Request) -> None:
    """A browser sends other kinds across origins without asking first."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        message = f"Unsupported content type: '{kind[:64]}'. This route takes 'application/json'."
        raise InvalidRequest(message, code="unsupported_content_type")


async def _parsed(raw: bytes) -> Json:
    """The object; a large one is read in a thread, for other requests shall not wait for it."""
    return parse_object(raw) if len(raw) <= _AT_ONCE else await run_in_threadpool(parse_object, raw)


def parse_object(raw: bytes) -> Json:
    """The JSON object that `raw` spells; raises `InvalidRequest`."""
    if raw.count(b"[") + raw.count(b"{") > MAX_BRACKETS:
        raise InvalidRequest(f"The JSON body holds more than {MAX_BRACKETS} opening brackets.", code="invalid_json")
    if _deeper_than(raw, MAX_DEPTH):
        raise InvalidRequest(f"The JSON body is nested deeper than {MAX_DEPTH} levels.", code="invalid_json")
    try:
        value = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unambiguous)
        if b"\\u" in raw or b"\x00" in raw:
            _refuse_broken_text(value)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"We could not parse the JSON body of your request: {error}.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"Invalid body: expected a JSON object, but got {described(value)} instead.", code="invalid_type")
    return value


def _deeper_than(raw: bytes, limit: int) -> bool:
    """Whether brackets outside strings nest deeper, found without parsing: parsing is what deep nesting attacks."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    depth = 0
    for token in _TOKENS.finditer(raw):
        first = token[0][0]
        if first in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unambiguous(pairs: list[tuple[str, Any]]) -> Json:
    """Of a field that stands twice two readers may see two values."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object names a field twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _refuse_broken_text(value: Any) -> None:
    """Lone surrogates and NUL have escapes in JSON, and no place in UTF-8 or in a database."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a string holds half of a surrogate pair") from None
    if re.search(r"(?<!\\)(?:\\\\)*\\u0000", text):
        raise ValueError("a string holds a NUL character")


def json_schema_of(model: type[BaseModel], *, required: bool = True) -> Json:
    """The OpenAPI description of a body that `JsonBody` reads and `validated` checks."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": model.model_json_schema()}}}}
