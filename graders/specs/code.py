"""Configuration of `code`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from core.errors import InvalidRequest
from graders.code.tests import InvalidTests, read_tests
from graders.specs.base import GraderSpec, check_template
from graders.template import TemplateSyntaxError, single_variable

MAX_SOURCE_BYTES = 256 * 1024


class CodeTests(GraderSpec):
    """Runs a completion's program against tests: inputs and outputs or calls in `tests`, or Python in `unit_tests`."""

    type: Literal["code"]
    input: str = "{{ sample.output_text }}"
    tests: str | list[Any] | None = None
    """A list of tests, or a template naming one."""
    unit_tests: str | None = None
    """A Python test module; may hold variables."""
    entry_point: str | None = None
    """The function that the test module's `check(candidate)` is given; may hold variables."""
    language: Literal["python"] = "python"
    time_limit: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds for each test."""
    memory_limit: Annotated[int, Field(ge=64, le=2048)] = 512
    """Mebibytes of address space for each process."""
    reward: Literal["share", "all"] = "share"
    """The share of tests that pass, or 1.0 where all do and else 0.0."""

    def sandboxed(self, param: str) -> Iterator[str]:
        """The completion's program."""
        yield f"{param}.input"

    def check(self, param: str) -> None:
        """One kind of tests must be given, and be such."""
        check_template(self.input, f"{param}.input")
        if (self.tests is None) == (self.unit_tests is None):
            path = f"{param}.tests"
            raise InvalidRequest(
                f"Invalid '{path}': give 'tests' or 'unit_tests', one of them.", param=path, code="invalid_value"
            )
        if isinstance(self.tests, str):
            _check_variable(self.tests, f"{param}.tests")
        elif self.tests is not None:
            _check_tests(self.tests, f"{param}.tests")
        if self.unit_tests is not None:
            _check_module(self.unit_tests, f"{param}.unit_tests")
        if self.entry_point is not None:
            check_template(self.entry_point, f"{param}.entry_point")


def _check_variable(text: str, path: str) -> None:
    try:
        single_variable(text)
    except TemplateSyntaxError as error:
        raise InvalidRequest(f"Invalid template in '{path}': {error}.", param=path, code="invalid_value") from None


def _check_tests(tests: list[Any], path: str) -> None:
    try:
        read_tests(tests)
    except InvalidTests as error:
        raise InvalidRequest(f"Invalid '{path}': {error}.", param=path, code="invalid_value") from None


def _check_module(source: str, path: str) -> None:
    check_template(source, path)
    if len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise InvalidRequest(f"Invalid '{path}': it is larger than 256 kB.", param=path, code="invalid_value")
    if "{{" in source:
        return
    try:
        ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise InvalidRequest(f"Invalid '{path}': it is not valid Python: {error}.", param=path, code="invalid_value") from None
    except (RecursionError, MemoryError):
        raise InvalidRequest(f"Invalid '{path}': it is nested too deeply.", param=path, code="invalid_value") from None
