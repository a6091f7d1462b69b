"""Configuration of `python`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from core.errors import InvalidRequest
from graders.source import SourceError, check_source
from graders.specs.base import GraderSpec


class PythonSource(GraderSpec):
    """A user's `grade(sample, item)`."""

    type: Literal["python"]
    source: str
    image_tag: str | None = None

    def sandboxed(self, param: str) -> Iterator[str]:
        """Its source."""
        yield f"{param}.source"

    def check(self, param: str) -> None:
        """The source must define `grade(sample, item)`."""
        try:
            check_source(self.source)
        except SourceError as error:
            path = f"{param}.source"
            raise InvalidRequest(f"Invalid '{path}': {error}.", param=path, code="invalid_value") from None
