"""What replies of responses hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from api.objects import Json, OpenReply, Reply


class IncompleteDetails(Reply):
    """Why an answer was cut off."""

    reason: Literal["max_output_tokens"]


class OutputItemObject(OpenReply):
    """A message or a function call of the output."""

    id: str
    type: Literal["message", "function_call"]
    status: Literal["completed", "incomplete"]


class ResponseUsage(OpenReply):
    """The tokens of a response."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class ResponseObject(Reply):
    """A response, as `Draft` builds it."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "failed", "in_progress"]
    background: Literal[False]
    completed_at: int | None
    error: Json | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None
    metadata: dict[str, str]
    model: str
    output: list[OutputItemObject]
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: Json
    service_tier: Literal["default"]
    store: Literal[False]
    temperature: float
    text: Json
    tool_choice: Any
    tools: list[Json]
    top_logprobs: int
    top_p: float
    truncation: Literal["disabled"]
    usage: ResponseUsage | None
    user: None
