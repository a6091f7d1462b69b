"""What the configurations of `score_model` and `label_model` share: a model, and the messages it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidRequest
from graders.judges.messages import MessageTemplate, templates_of
from graders.specs.base import GraderSpec, check_template

MAX_MESSAGES = 64


class InputMessage(BaseModel):
    """One message: its content a string, a part, or a list of strings and parts."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    role: Literal["user", "assistant", "system", "developer"]
    content: Any
    type: Literal["message"] | None = None


class JudgeSpec(GraderSpec):
    """A grader that asks a model."""

    model: str
    input: list[InputMessage] = Field(min_length=1, max_length=MAX_MESSAGES)

    def check(self, param: str) -> None:
        """Every message must hold templates in parts that a judge can be sent."""
        for index, message in enumerate(self.input):
            for text, path in templates_of(message.content, f"{param}.input[{index}].content"):
                check_template(text, path)

    def judges(self, param: str) -> Iterator[tuple[str, str]]:
        """Its model."""
        yield self.model, f"{param}.model"

    def messages(self) -> list[MessageTemplate]:
        """The messages as templates."""
        return [MessageTemplate.parse(message.role, message.content) for message in self.input]


def invalid(path: str, reason: str) -> InvalidRequest:
    """A value of the right type that cannot be used."""
    return InvalidRequest(f"Invalid '{path}': {reason}.", param=path, code="invalid_value")
