"""Tool calls in an answer: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as Hermes and Qwen models write them."""

from __future__ import annotations

import json
import re
from typing import Any

Json = dict[str, Any]

BEGIN = "<tool_call>"
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


def read_calls(text: str) -> list[Json]:
    """The calls that a text spells, as chat completions have them but without ids; none where one of them cannot be read."""
    calls = [_call(found) for found in _CALL.findall(text)]
    read = [call for call in calls if call is not None]
    return read if len(read) == len(calls) else []


def split_calls(answer: str) -> tuple[str, list[Json]]:
    """An answer's text before its first call, and the calls; all of it is text where a call cannot be read.

    The ids count from 0, so that the same answer is the same to graders whenever it is read.
    """
    calls = read_calls(answer)
    if not calls:
        return answer, []
    return answer.partition(BEGIN)[0], [{"id": f"call_{index}", **call} for index, call in enumerate(calls)]


def _call(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", {})
    spelled = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": value["name"], "arguments": spelled}}
