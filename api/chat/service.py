"""The rules of chat completions: what is asked of which model, in the sampler's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.chat.schemas import ChatRequest
from api.context import Context
from api.models.service import ServedModel, find_model
from api.validation import validated
from core import response_format
from core.errors import InvalidRequest

Json = dict[str, Any]

_FORWARDED = (
    *("temperature", "top_p", "n", "stop", "seed", "stream", "stream_options"),
    *("logprobs", "top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias"),
)
_REFUSED = {
    "functions": "Functions of this form are not supported; use 'tools'.",
    "function_call": "Functions of this form are not supported; use 'tools'.",
    "audio": "Audio is not supported.",
    "web_search_options": "Web search is not supported.",
}
_OTHER_CONTENT = frozenset({"image_url", "input_image", "input_audio", "file", "input_file", "image_file"})


def sampler_body(context: Context, project_id: str, body: Json) -> Json:
    """The sampler's request for a client's body; raises `InvalidRequest` (400), and `NotFound` for an unknown model."""
    refuse_other_content(body.get("messages"), "messages")
    asked = validated(ChatRequest, body)
    _refuse_unsupported(asked, body)
    wanted = response_format.parse(asked.response_format, "response_format")
    tools = usable_tools(body.get("tools"), asked.tool_choice)
    if tools and wanted is not None:
        raise unsupported("response_format", "A response format beside tools is not supported: it would rule their calls out.")
    model = find_model(context, project_id, asked.model)
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    return {
        **{name: body[name] for name in _FORWARDED if body.get(name) is not None},
        "model": asked.model,
        "messages": body["messages"],
        **({} if limit is None else {"max_completion_tokens": limit}),
        **({} if wanted is None else {"response_format": asked.response_format}),
        **({"tools": tools, "parallel_tool_calls": asked.parallel_tool_calls is not False} if tools else {}),
        "touchstone": _weights(model),
    }


def refuse_other_content(messages: Any, param: str) -> None:
    """Say which part of which message is no text, in words clearer than those of a schema."""
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind in _OTHER_CONTENT:
                path = f"{param}[{i}].content[{j}].type"
                text = f"Content of the type '{kind}' is not supported: the models of this service read text."
                raise InvalidRequest(text, param=path, code="unsupported_value")


def usable_tools(tools: Sequence[Json] | None, choice: str | Json | None) -> Sequence[Json]:
    """The tools that the model shall know of. Raises `InvalidRequest` for a choice that would force a call."""
    if choice == "none":
        return ()
    if choice not in (None, "auto"):
        raise unsupported("tool_choice", "Only the tool choices 'auto' and 'none' are supported.")
    return tools or ()


def unsupported(param: str, message: str) -> InvalidRequest:
    """The error for a known parameter that this service cannot honour."""
    return InvalidRequest(message, param=param, code="unsupported_parameter")


def _weights(model: ServedModel) -> Json:
    checkpoint = model.checkpoint
    return {"base_model": model.base_model, "manifest_key": None if checkpoint is None else checkpoint.manifest_key}


def _refuse_unsupported(asked: ChatRequest, body: Json) -> None:
    """What would change the answer is refused where it cannot be done, rather than left out in silence."""
    for name, message in _REFUSED.items():
        if body.get(name):
            raise unsupported(name, message)
    if asked.modalities is not None and asked.modalities != ["text"]:
        raise unsupported("modalities", "Only the modality 'text' is supported.")
    if asked.stream_options is not None and not asked.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise InvalidRequest(message, param="stream_options", code="invalid_value")
    if asked.top_logprobs is not None and not asked.logprobs:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise InvalidRequest(message, param="top_logprobs", code="invalid_value")
