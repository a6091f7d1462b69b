"""The request of a chat completion, as far as this service gives its fields a meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Json = dict[str, Any]

MAX_CHOICES = 128

Role = Literal["developer", "system", "user", "assistant", "tool"]
StopString = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class TextPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text", "input_text", "output_text"]
    text: str


class Message(BaseModel):
    """One turn. Only text is understood."""

    model_config = ConfigDict(extra="allow")

    role: Role
    content: str | list[TextPart] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of the role '{self.role}' needs 'content'")
        return self


class Function(BaseModel):
    """What the model may call."""

    model_config = ConfigDict(extra="allow")

    name: FunctionName
    parameters: Json | None = None


class Tool(BaseModel):
    """A function by its JSON schema; other kinds of tools are unknown here."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function"]
    function: Function


class StreamOptions(BaseModel):
    """What a stream carries besides its text."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The fields that are read; any other field of the body is ignored."""

    model: ModelName
    messages: Annotated[list[Message], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: StopString | Annotated[list[StopString], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: (
        Annotated[dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], Bias], Field(max_length=1024)] | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    response_format: Json | None = None
    modalities: list[str] | None = None
