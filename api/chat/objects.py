"""What replies of chat completions hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, OpenReply


class AnswerMessage(OpenReply):
    """What the model says."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[Json] | None = None


class Choice(OpenReply):
    """One of the answers."""

    index: int
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: Json | None


class CompletionUsage(OpenReply):
    """The tokens of a completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(OpenReply):
    """A chat completion, as the sampler answers it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage
