"""Configuration of `math`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from graders.specs.base import GraderSpec, check_template


class MathEquality(GraderSpec):
    """Compares two mathematical expressions; 1.0 or 0.0."""

    type: Literal["math"]
    input: str = "{{ sample.output_text }}"
    reference: str
    precision: Annotated[int, Field(ge=0, le=15)] = 6
    """Decimals to which floating-point numbers are rounded before they are compared."""
    strict: bool = True
    """Whether variables' names count; where they do not, they are matched by position."""

    judge: str | None = None
    """A model that decides where no expression is found, or the comparison fails."""

    def check(self, param: str) -> None:
        """Both sides must be templates."""
        check_template(self.input, f"{param}.input")
        check_template(self.reference, f"{param}.reference")

    def judges(self, param: str) -> Iterator[tuple[str, str]]:
        """The fallback, where there is one."""
        if self.judge is not None:
            yield self.judge, f"{param}.judge"
