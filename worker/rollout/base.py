"""The seam of sampling: prompts in, completions with their log-probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.errors import RftError
from core.response_format import ResponseFormat


class EngineLost(RftError):
    """The engine could not be started or reached, died, or does not answer."""

    code = "engine_lost"
    type = "server_error"


class StopReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """The model ended it: an end-of-text token (kept as the last token) or a stop string."""
    LENGTH = "length"
    """It was cut: at its limit of tokens, or where its format could be followed no further."""


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn."""

    max_tokens: int
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    response_format: ResponseFormat | None = None
    """What completions are held to while they are decoded."""


@dataclass(frozen=True)
class PromptGroup:
    """One prompt and the seeds of the completions wanted of it: `len(seeds)` samples share the prompt's computation."""

    prompt_T: tuple[int, ...]
    seeds_G: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """Sampled tokens, each with its log-probability under the policy at the temperature: neither top-p nor a format is in it."""

    tokens_T: tuple[int, ...]
    logprobs_T: tuple[float, ...]
    stop_reason: StopReason


Finished = Callable[[int, int, Completion], None]
"""Told of every completion once, as soon as it has ended: group, member, completion. What it raises ends the call."""


def unheard(_group: int, _member: int, _completion: Completion) -> None:
    """For callers who wait for all completions."""


class RolloutEngine(Protocol):
    """Samples from the current policy. One call is one sampling batch: same policy, groups and parameters, same bits on CPU."""

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """Completions by prompt and group member; `finished` gets each of them while the others are still sampled."""

    def sync(self) -> None:
        """Take over the policy's newest weights."""

    def close(self) -> None:
        """Let go of the device."""
