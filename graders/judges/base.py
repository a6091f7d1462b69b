"""What is asked of a judge, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.outbound import Reply
from graders.base import FailureKind, TokenUsage

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One conversation, and the JSON schema of the answer."""

    messages: tuple[Json, ...]
    """In the shape of chat completions."""
    schema_name: str
    schema: Json
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of chat completions, under their names there."""


@dataclass(frozen=True)
class Answer:
    """What the judge wrote; `cut_off` where it ran into its limit of tokens."""

    text: str
    cut_off: bool
    usage: TokenUsage
    seconds: float


@dataclass(frozen=True)
class NoAnswer:
    """Why there is none: `MODEL_SERVER` or `MODEL_REFUSAL`."""

    kind: FailureKind
    details: str
    usage: TokenUsage
    seconds: float


class Transport(Protocol):
    """The way to one model."""

    def complete(self, body: Json, timeout: float) -> Reply:
        """The reply to a chat completion's body without its `model`, whatever its status.

        Raises `TryAgain` or `RftError` where no whole reply comes within `timeout` seconds.
        """
