"""Configuration of `instructions`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidRequest
from graders import wordnet
from graders.instructions.library import InvalidInstruction, bind
from graders.specs.base import GraderSpec, check_template
from graders.template import TemplateSyntaxError, single_variable

MAX_INSTRUCTIONS = 64
_NEED_WORDNET = ("words:start_verb",)


class Instruction(BaseModel):
    """A constraint by its name in IFEval or IFBench, and its arguments there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str
    kwargs: dict[str, Any] | None = None


class Instructions(GraderSpec):
    """Checks a text against constraints: those listed, or those that a field of the row lists."""

    type: Literal["instructions"]
    input: str = "{{ sample.output_text }}"
    instructions: str | Annotated[list[Instruction], Field(min_length=1, max_length=MAX_INSTRUCTIONS)]
    """A list, or a template naming one or an object with `instruction_id_list` and `kwargs`, as the data sets have them."""
    reward: Literal["share", "all"] = "share"
    """The share of constraints that are kept, or 1.0 where all are and else 0.0."""

    def check(self, param: str) -> None:
        """The input must be a template, and every constraint listed here must exist and take its arguments."""
        check_template(self.input, f"{param}.input")
        path = f"{param}.instructions"
        if isinstance(self.instructions, str):
            _check_variable(self.instructions, path)
            return
        for index, instruction in enumerate(self.instructions):
            _check_instruction(instruction, f"{path}[{index}]")


def _check_variable(text: str, path: str) -> None:
    try:
        single_variable(text)
    except TemplateSyntaxError as error:
        raise InvalidRequest(f"Invalid template in '{path}': {error}.", param=path, code="invalid_value") from None


def _check_instruction(instruction: Instruction, path: str) -> None:
    try:
        bind(instruction.id, instruction.kwargs)
    except InvalidInstruction as error:
        field = f"{path}.{error.field}"
        raise InvalidRequest(f"Invalid '{field}': {error}.", param=field, code="invalid_value") from None
    if instruction.id in _NEED_WORDNET:
        wordnet.check_installed(f"{path}.id")
