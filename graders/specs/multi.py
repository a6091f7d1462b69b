"""Configuration of `multi`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import SerializeAsAny

from core.errors import InvalidRequest
from graders.formula import Formula, FormulaSyntaxError
from graders.specs.base import GraderSpec


class Multi(GraderSpec):
    """Several graders and the formula that joins their scores; the keys of `graders` are the formula's variables."""

    type: Literal["multi"]
    graders: dict[str, SerializeAsAny[GraderSpec]]
    calculate_output: str

    def judges(self, param: str) -> Iterator[tuple[str, str]]:
        """Those of all members."""
        for key, member in self.graders.items():
            yield from member.judges(f"{param}.graders.{key}")

    def urls(self, param: str) -> Iterator[tuple[str, str]]:
        """Those of all members."""
        for key, member in self.graders.items():
            yield from member.urls(f"{param}.graders.{key}")

    def sandboxed(self, param: str) -> Iterator[str]:
        """That of all members."""
        for key, member in self.graders.items():
            yield from member.sandboxed(f"{param}.graders.{key}")

    def check(self, param: str) -> None:
        """The formula must parse, and name nothing but members."""
        path = f"{param}.calculate_output"
        try:
            unknown = sorted(Formula.parse(self.calculate_output).variables - self.graders.keys())
        except FormulaSyntaxError as error:
            raise InvalidRequest(f"Invalid formula in '{path}': {error}.", param=path, code="invalid_value") from None
        if unknown:
            raise InvalidRequest(
                f"Invalid formula in '{path}': '{unknown[0]}' is not a key of 'graders' ({', '.join(self.graders)}).",
                param=path,
                code="invalid_value",
            )
