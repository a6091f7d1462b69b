"""The rules of chat completions: what is asked of which model, in the sampler's words."""

from __future__ import annotations

from typing import Any

from api.chat.schemas import ChatRequest
from api.context import Context
from api.models.service import ServedModel, find_model
from api.validation import validated
from core.errors import InvalidRequest

Json = dict[str, Any]

_FORWARDED = (
    *("temperature", "top_p", "n", "stop", "seed", "logprobs", "stream", "stream_options"),
    # Refused by the sampler where they ask for anything.
    *("top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias"),
)


def sampler_body(context: Context, project_id: str, body: Json) -> Json:
    """The sampler's request for a client's body; raises `InvalidRequest` (400), and `NotFound` for an unknown model."""
    asked = validated(ChatRequest, body)
    _refuse_unsupported(asked)
    model = find_model(context, project_id, asked.model)
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    forwarded = {name: body[name] for name in _FORWARDED if body.get(name) is not None}
    return {
        **forwarded,
        "model": asked.model,
        "messages": body["messages"],
        **({} if limit is None else {"max_completion_tokens": limit}),
        "touchstone": _weights(model),
    }


def _weights(model: ServedModel) -> Json:
    checkpoint = model.checkpoint
    return {"base_model": model.base_model, "manifest_key": None if checkpoint is None else checkpoint.manifest_key}


def _refuse_unsupported(asked: ChatRequest) -> None:
    """What would change the answer is refused where it cannot be done, rather than left out in silence."""
    if asked.tools:
        raise _unsupported("tools", "Tool calls are not supported")
    if asked.response_format is not None and asked.response_format.get("type") != "text":
        raise _unsupported("response_format", "Only the response format 'text' is supported")
    if asked.stream_options is not None and not asked.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise InvalidRequest(message, param="stream_options", code="invalid_value")
    if asked.top_logprobs is not None and not asked.logprobs:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise InvalidRequest(message, param="top_logprobs", code="invalid_value")


def _unsupported(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{message} by this service yet.", param=param, code="unsupported_parameter")
