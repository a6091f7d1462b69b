"""The request of a response, as far as this service gives its fields a meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.chat.schemas import FunctionName, ModelName, TextPart

Json = dict[str, Any]

MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class RefusalPart(BaseModel):
    """A refusal that comes back as part of a conversation."""

    model_config = ConfigDict(extra="allow")

    type: Literal["refusal"]
    refusal: str


Content = str | list[TextPart | RefusalPart]


class MessageItem(BaseModel):
    """One turn of the input, or a message of an earlier output."""

    model_config = ConfigDict(extra="allow")

    type: Literal["message"] = "message"
    role: Literal["developer", "system", "user", "assistant"]
    content: Content


class FunctionCallItem(BaseModel):
    """A call that the model has made."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function_call"]
    call_id: str
    name: FunctionName
    arguments: str


class FunctionOutputItem(BaseModel):
    """What a call came to."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function_call_output"]
    call_id: str
    output: Content


class ReasoningItem(BaseModel):
    """Reasoning of an earlier turn: models are not shown it again."""

    model_config = ConfigDict(extra="allow")

    type: Literal["reasoning"]


InputItem = MessageItem | FunctionCallItem | FunctionOutputItem | ReasoningItem


class FunctionTool(BaseModel):
    """A function by its JSON schema; OpenAI's built-in tools do not exist here."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function"]
    name: FunctionName
    description: str | None = None
    parameters: Json | None = None


class Text(BaseModel):
    """How the answer's text shall be."""

    model_config = ConfigDict(extra="allow")

    format: Json | None = None


class Reasoning(BaseModel):
    """Accepted and echoed; models reason as their template has them do."""

    model_config = ConfigDict(extra="allow")

    effort: str | None = None


class ResponsesRequest(BaseModel):
    """The fields that are read; any other field of the body is ignored."""

    model: ModelName
    input: str | Annotated[list[InputItem], Field(min_length=1)]
    instructions: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    stream: bool | None = None
