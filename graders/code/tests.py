"""The tests of a `code` grader as its configuration or a row lists them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graders.code.values import NotPlain, encode

MAX_TESTS = 200
MAX_BYTES = 1 << 20
"""Of all tests of a row, as JSON."""
MAX_OUTPUT = 64 << 10
"""Bytes of each test's output that are read; no expected output may be longer."""


class InvalidTests(ValueError):
    """What is given is no list of tests; the message says why."""


@dataclass(frozen=True)
class ProgramTest:
    """The code is run as a script."""

    stdin: str
    expected: str


@dataclass(frozen=True)
class CallTest:
    """A function, or a method of a fresh object, is called."""

    name: str
    """`function` or `Class.method`."""
    expected: Any
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)

    def sent(self) -> dict[str, Any]:
        """What the code under test is told: all but the expected value."""
        return {
            "name": self.name,
            "args": [encode(value) for value in self.args],
            "kwargs": {name: encode(value) for name, value in self.kwargs.items()},
        }


Tests = Sequence[ProgramTest | CallTest]
"""All of one kind."""


def read_tests(value: Any) -> Tests:
    """A list of `{"stdin", "stdout"}` or of `{"call", "args", "kwargs", "expected"}`, or its JSON. Raises `InvalidTests`."""
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TESTS:
        raise InvalidTests(f"there must be a list of 1 to {MAX_TESTS} tests")
    if len(json.dumps(value)) > MAX_BYTES:
        raise InvalidTests(f"the tests are larger than {MAX_BYTES} bytes")
    programs = [_program(entry) for entry in value if isinstance(entry, dict) and "stdout" in entry]
    if len(programs) == len(value):
        return programs
    calls = [_call(entry) for entry in value if isinstance(entry, dict) and "call" in entry]
    if len(calls) == len(value):
        return calls
    raise InvalidTests("every test must have 'stdin' and 'stdout', or every test 'call', 'args' and 'expected'")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidTests("the tests are neither a list nor JSON") from None


def _program(entry: dict[str, Any]) -> ProgramTest:
    stdin, expected = entry.get("stdin", ""), entry["stdout"]
    if not isinstance(stdin, str) or not isinstance(expected, str):
        raise InvalidTests("'stdin' and 'stdout' of a test must be strings")
    if len(expected.encode("utf-8", "replace")) > MAX_OUTPUT:
        raise InvalidTests(f"the 'stdout' of a test is longer than {MAX_OUTPUT} bytes")
    return ProgramTest(stdin, expected)


def _call(entry: dict[str, Any]) -> CallTest:
    name, args, kwargs = entry["call"], entry.get("args", []), entry.get("kwargs", {})
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")) or name.count(".") > 1:
        raise InvalidTests("'call' of a test must be 'function' or 'Class.method'")
    if not isinstance(args, list) or not isinstance(kwargs, dict) or "expected" not in entry:
        raise InvalidTests("a test that calls needs 'args', a list, and 'expected'; 'kwargs' must be an object")
    test = CallTest(name, entry["expected"], args, kwargs)
    try:
        test.sent()
    except NotPlain as error:
        raise InvalidTests(f"the arguments of a test are {error}") from None
    return test
