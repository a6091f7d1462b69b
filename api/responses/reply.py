"""The response object, and the items of its output, from what a chat model has answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from api.responses.schemas import ResponsesRequest
from core.ids import new_id

Json = dict[str, Any]


class Draft:
    """A response as it comes to be: the same id and creation time in every view of it."""

    def __init__(self, asked: ResponsesRequest) -> None:
        self._asked = asked
        self._id = new_id("resp_")
        self._created_at = int(time.time())

    def begun(self) -> Json:
        """The response before its output."""
        return self._object("in_progress", [])

    def finished(self, output: Sequence[Json], finish_reason: str | None, usage: Json) -> Json:
        """The response with all of its output, `incomplete` where that was cut off."""
        if finish_reason == "length":
            details = {"incomplete_details": {"reason": "max_output_tokens"}}
            return {**self._object("incomplete", output), **details, "usage": _usage(usage)}
        return {**self._object("completed", output), "completed_at": int(time.time()), "usage": _usage(usage)}

    def failed(self, message: str) -> Json:
        """The response where the model could not go on."""
        return {**self._object("failed", []), "error": {"code": "server_error", "message": message}}

    def _object(self, status: str, output: Sequence[Json]) -> Json:
        asked = self._asked
        reasoning = {"effort": None, "summary": None, **({} if asked.reasoning is None else asked.reasoning.model_dump())}
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "max_tool_calls": None,
            "metadata": asked.metadata or {},
            "model": asked.model,
            "output": list(output),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": reasoning,
            "service_tier": "default",
            "store": False,
            "temperature": 1.0 if asked.temperature is None else asked.temperature,
            "text": {"format": {"type": "text"}, **_without_nulls(asked.text.model_dump() if asked.text else {})},
            "tool_choice": asked.tool_choice or "auto",
            "tools": [tool.model_dump() for tool in asked.tools or ()],
            "top_logprobs": asked.top_logprobs or 0,
            "top_p": 1.0 if asked.top_p is None else asked.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": None,
        }


def output_items(message: Json, logprobs: Sequence[Json], finish_reason: str | None) -> list[Json]:
    """The items of a chat message: its text, unless there is none beside its calls, and each call."""
    calls = [function_call(call, "completed") for call in message.get("tool_calls") or ()]
    text = message.get("content") or ""
    if calls and not text:
        return calls
    status = "incomplete" if finish_reason == "length" else "completed"
    return [text_message(new_id("msg_"), status, [text_part(text, logprobs)]), *calls]


def text_message(item_id: str, status: str, content: Sequence[Json]) -> Json:
    """A message of the assistant."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": list(content)}


def text_part(text: str, logprobs: Sequence[Json]) -> Json:
    """The text of a message. Log-probabilities are a chat completion's."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [_logprob(entry) for entry in logprobs]}


def function_call(call: Json, status: str) -> Json:
    """A tool call of a chat message."""
    function = call["function"]
    names = {"name": function["name"], "arguments": function["arguments"], "call_id": call["id"]}
    return {"id": new_id("fc_"), "type": "function_call", "status": status, **names}


def _logprob(entry: Json) -> Json:
    """Half a character has no bytes of its own; where a chat completion has null, a response has an empty list."""
    top = [{**other, "bytes": other["bytes"] or []} for other in entry["top_logprobs"]]
    return {**entry, "bytes": entry["bytes"] or [], "top_logprobs": top}


def _usage(usage: Json) -> Json | None:
    """None where the model's server has not counted."""
    if not usage:
        return None
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": usage["prompt_tokens_details"]["cached_tokens"], "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"]},
        "total_tokens": usage["total_tokens"],
    }


def _without_nulls(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}
