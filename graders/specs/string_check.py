"""Configuration of `string_check`."""

from __future__ import annotations

from typing import Literal

from graders.specs.base import GraderSpec, check_template


class StringCheck(GraderSpec):
    """Compares two rendered strings; 1.0 or 0.0."""

    type: Literal["string_check"]
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]

    def check(self, param: str) -> None:
        """Both sides must be templates."""
        check_template(self.input, f"{param}.input")
        check_template(self.reference, f"{param}.reference")
