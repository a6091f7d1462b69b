"""Tool calls in a model's answer, taken out while it streams.

`<tool_call>` is the one format that is understood; a model whose chat template does not have it is asked for no tools.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.ids import new_id
from core.tool_calls import BEGIN, read_calls
from worker.sampler.text import StopStrings

Json = dict[str, Any]


def has_tools(template: str) -> bool:
    """Whether this chat template renders tools, and has their calls written in the format that is understood."""
    return "tools" in template and BEGIN in template


def for_template(message: Mapping[str, Any]) -> Json:
    """A message whose tool calls have their arguments as objects: templates write them as JSON themselves."""
    calls = message.get("tool_calls")
    return dict(message) if not calls else {**message, "tool_calls": [_with_object(call) for call in calls]}


class ToolCalls:
    """Takes tool calls out of an answer. Text before the first is given out as it comes, text behind it is dropped."""

    def __init__(self, *, several: bool) -> None:
        self._before = StopStrings((BEGIN,))
        self._text = ""
        self._given = 0
        self._several = several

    def push(self, text: str) -> str:
        """The part of the text that is no call for sure."""
        self._text += text
        fresh = self._before.push(text)
        self._given += len(fresh)
        return fresh

    def finish(self) -> tuple[str, tuple[Json, ...]]:
        """What was held back: text, or the calls it spells. A call that cannot be read leaves all of it text."""
        held = self._text[self._given :]
        read = [{"id": new_id("call_"), **call} for call in read_calls(held)]
        if not read:
            return held, ()
        return "", tuple(read if self._several else read[:1])


def _with_object(call: Json) -> Json:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": arguments}}
