"""The rules of responses: an answer of a chat model under another request and another reply. Nothing is kept."""

from __future__ import annotations

from typing import Any

from api.chat import service as chat
from api.chat.schemas import TextPart
from api.chat.service import refuse_other_content, unsupported, usable_tools
from api.context import Context
from api.responses.schemas import (
    Content,
    FunctionCallItem,
    FunctionOutputItem,
    FunctionTool,
    InputItem,
    MessageItem,
    ResponsesRequest,
)
from api.validation import validated
from core import response_format
from core.errors import InvalidRequest

Json = dict[str, Any]

LOGPROBS = "message.output_text.logprobs"
_ITEMS = ("message", "function_call", "function_call_output", "reasoning")
_REFUSED = {
    "previous_response_id": "Responses are not kept by this service: send the whole conversation as 'input'.",
    "conversation": "Conversations are not kept by this service: send the whole conversation as 'input'.",
    "prompt": "Stored prompts are not supported.",
    "background": "Responses in the background are not supported.",
}


def read_request(body: Json) -> ResponsesRequest:
    """The request; raises `InvalidRequest` (400) naming what is wrong, or what cannot be done."""
    for name, message in _REFUSED.items():
        if body.get(name):
            raise unsupported(name, message)
    refuse_other_content(body.get("input"), "input")
    _refuse_other_items(body)
    asked = validated(ResponsesRequest, body)
    if asked.truncation == "auto":
        raise unsupported("truncation", "Only the truncation 'disabled' is supported.")
    return asked


def sampler_body(context: Context, project_id: str, asked: ResponsesRequest) -> Json:
    """The sampler's request; raises `InvalidRequest` (400), and `NotFound` for an unknown model."""
    wanted = None if asked.text is None else asked.text.format
    is_json = response_format.parse(wanted, "text.format") is not None
    tools = usable_tools([_chat_tool(tool) for tool in asked.tools or ()], asked.tool_choice)
    if tools and is_json:
        raise unsupported("text.format", "A format beside tools is not supported: it would rule their calls out.")
    body = {
        "model": asked.model,
        "messages": messages(asked),
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_completion_tokens": asked.max_output_tokens,
        "tools": tools or None,
        "parallel_tool_calls": asked.parallel_tool_calls,
        "response_format": wanted if is_json else None,
        **({"logprobs": True, "top_logprobs": asked.top_logprobs or 0} if wants_logprobs(asked) else {}),
        **({"stream": True, "stream_options": {"include_usage": True}} if asked.stream else {}),
    }
    return chat.sampler_body(context, project_id, {name: value for name, value in body.items() if value is not None})


def wants_logprobs(asked: ResponsesRequest) -> bool:
    """Whether the answer shall come with its log-probabilities."""
    return bool(asked.top_logprobs) or LOGPROBS in (asked.include or ())


def messages(asked: ResponsesRequest) -> list[Json]:
    """The conversation as chat messages; raises `InvalidRequest` where nothing is left of it."""
    turns: list[Json] = [] if asked.instructions is None else [{"role": "system", "content": asked.instructions}]
    if isinstance(asked.input, str):
        return [*turns, {"role": "user", "content": asked.input}]
    for item in asked.input:
        _add(turns, item)
    if not turns:
        raise InvalidRequest("Invalid 'input': it holds no message.", param="input", code="invalid_value")
    return turns


def in_our_words(error: InvalidRequest) -> InvalidRequest:
    """A complaint about the chat request, under the names that the client has used."""
    names = {"messages": "input", "max_completion_tokens": "max_output_tokens", "response_format": "text.format"}
    return InvalidRequest(error.message, param=names.get(error.param or "", error.param), code=error.code)


def _add(turns: list[Json], item: InputItem) -> None:
    if isinstance(item, MessageItem):
        turns.append({"role": item.role, "content": _text(item.content)})
    elif isinstance(item, FunctionCallItem):
        call = {"id": item.call_id, "type": "function", "function": {"name": item.name, "arguments": item.arguments}}
        if turns and turns[-1].get("tool_calls"):
            turns[-1]["tool_calls"].append(call)
        else:
            turns.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif isinstance(item, FunctionOutputItem):
        turns.append({"role": "tool", "tool_call_id": item.call_id, "content": _text(item.output)})


def _text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _chat_tool(tool: FunctionTool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _refuse_other_items(body: Json) -> None:
    """Items and tools that OpenAI has and this service has not are named, in words clearer than those of a schema."""
    for i, item in enumerate(body["input"] if isinstance(body.get("input"), list) else ()):
        kind = item.get("type", "message") if isinstance(item, dict) else "message"
        if isinstance(kind, str) and kind not in _ITEMS:
            message = f"Input items of the type '{kind}' are not supported."
            raise InvalidRequest(message, param=f"input[{i}].type", code="unsupported_value")
    for i, tool in enumerate(body["tools"] if isinstance(body.get("tools"), list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "function":
            message = f"Tools of the type '{kind}' are not supported: only functions are."
            raise InvalidRequest(message, param=f"tools[{i}].type", code="unsupported_value")
