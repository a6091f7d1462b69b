"""The body of a chat request: OpenAI's, as far as the sampler honours it, and which weights shall answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel as Schema
from pydantic import ConfigDict, Field, StringConstraints, ValidationError, field_validator

from core.errors import InvalidRequest

Json = dict[str, Any]


Bias = Annotated[float, Field(ge=-100, le=100)]


class Target(Schema):
    """Which weights answer: a base model, with the adapter of a checkpoint's manifest or without."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    base_model: str
    manifest_key: str | None = None


class TextPart(Schema):
    """Text within a message; other kinds of content are refused."""

    type: Literal["text", "input_text", "output_text"] = "text"
    text: str


class Message(Schema):
    """One message; fields such as `tool_calls` reach the chat template as they came."""

    model_config = ConfigDict(extra="allow")

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None


class StreamOptions(Schema):
    """What a stream carries besides text."""

    include_usage: bool = False


class ChatRequest(Schema):
    """OpenAI's body of `POST /v1/chat/completions`, as far as the sampler honours it, and its own object `touchstone`."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    touchstone: Target
    tools: list[Json] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[Annotated[int, Field(ge=0)], Bias], Field(max_length=1024)] | None = None
    response_format: Json | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def parse(body: Json) -> ChatRequest:
    """The request; raises `InvalidRequest` naming the field at fault."""
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"])
        code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
        raise InvalidRequest(f"Invalid '{param}': {first['msg']}.", param=param, code=code) from None
