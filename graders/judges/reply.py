"""Reading a judge's verdict out of what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from graders.base import FailureKind, GradeError, Usage
from graders.judges.base import Answer, Json

_SEARCHED = 64 * 1024
"""Characters at the end of a text in which a verdict is looked for."""
_TRIES = 64
_QUOTED = 200
_decoder = json.JSONDecoder()


def verdict_schema(result: Json) -> Json:
    """The schema of an answer: some steps of reasoning before the `result`, as OpenAI asks of its judges."""
    text = {"type": "string"}
    step = _object({"description": text, "conclusion": text})
    return _object(
        {"steps": {"type": "array", "description": "The reasoning that leads to the result.", "items": step}, "result": result}
    )


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def verdict(answer: Answer) -> Any:
    """The `result` of an answer, of whatever type; None where there is none.

    A judge that keeps to the schema writes one JSON object. One that does not may have written around it, or the value alone.
    """
    text = answer.text.strip()
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return next((found["result"] for found in _objects(text[-_SEARCHED:]) if "result" in found), None)
    return whole.get("result") if isinstance(whole, dict) else whole


def no_verdict(answer: Answer, wanted: str, usage: Usage) -> GradeError:
    """The failure of an answer whose result is not what was `wanted`."""
    if answer.cut_off:
        return GradeError(
            FailureKind.MODEL_MAX_TOKENS, "the judge ran out of tokens before its result", answer.seconds, usage=usage
        )
    shown = answer.text.strip()[-_QUOTED:]
    return GradeError(FailureKind.MODEL_PARSE, f"expected {wanted}, but the judge wrote: {shown!r}", answer.seconds, usage=usage)


def _objects(text: str) -> Iterator[Json]:
    """JSON objects in a text, the last first: judges think before they decide. Bounded, whatever the text."""
    end = len(text)
    for _ in range(_TRIES):
        end = text.rfind("{", 0, end)
        if end < 0:
            return
        try:
            value, _stop = _decoder.raw_decode(text, end)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
