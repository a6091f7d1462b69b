"""The `code` grader on the real sandbox: what honest programs score, and that none forges a score."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from graders.base import FailureKind, Grade, GradeError, Sample, Sandbox
from graders.build import build
from graders.parts import GraderParts
from graders.sandbox.client import SandboxClient
from graders.spec import parse
from tests.contract.forgeries import FOOL_ONE_PROCESS, FORGERIES

SUMS = [{"stdin": "1 2\n", "stdout": "3\n"}, {"stdin": "10 -4", "stdout": "6"}]
CALLS = [
    {"call": "add", "args": [1, 2], "expected": 3},
    {"call": "add", "args": ["a", "b"], "expected": "ab"},
    {"call": "Solution.pair", "args": [[1]], "kwargs": {"other": 2}, "expected": [[1], 2]},
]
GOOD = """
class Solution:
    def pair(self, one, other):
        return one, other

class Stack:
    def __init__(self):
        self.items = []
    def push(self, item):
        self.items.append(item)
    def pop(self):
        return self.items.pop()
    def __len__(self):
        return len(self.items)

def add(a, b):
    return a + b
"""
UNIT = """
import unittest
from solution import add

def double(x):
    return 2 * x

assert add(1, 2) == 3
assert double(add(1, 1)) == 4, "wrong"

def test_loop():
    for i in range(5):
        assert add(i, i) == 2 * i

def test_calls_that_depend_on_results():
    for i in range(add(1, 1)):
        assert add(add(i, 1), 1) == i + 2

def test_errors():
    try:
        add(None, 1)
    except TypeError:
        return
    raise AssertionError

def test_objects():
    stack = Stack()
    stack.push(1)
    stack.push(add(1, 1))
    assert stack.pop() == 2
    assert len(stack) == 1

class Sums(unittest.TestCase):
    def setUp(self):
        self.sum = add(2, 2)

    def test_sum(self):
        self.assertEqual(self.sum, 4)
        self.assertAlmostEqual(add(0.1, 0.2), 0.3)
"""
TESTS_IN_UNIT = 7


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    client = SandboxClient(wall_seconds=60)
    yield client
    client.close()


def grade(sandbox: Sandbox, completion: str, item: dict[str, Any] | None = None, **fields: Any) -> Grade | GradeError:
    grader = build(parse({"type": "code", "name": "c", "time_limit": 1, **fields}), GraderParts(lambda: sandbox))
    [result] = grader.grade([Sample(item=item or {}, output_text=completion)])
    return result


def score(result: Grade | GradeError) -> float:
    assert isinstance(result, Grade), result
    return result.score


def failed(result: Grade | GradeError) -> dict[str, str]:
    """Reasons of the tests that did not pass."""
    return {name: part.details for name, part in result.parts.items() if isinstance(part, Grade) and part.score == 0}


# Inputs and outputs


@pytest.mark.parametrize(
    ("completion", "share"),
    [
        ("```python\na, b = map(int, input().split())\nprint(a + b)\n```", 1.0),
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))\nsys.exit()", 1.0),
        ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())), flush=True)\nimport os\nos._exit(0)", 1.0),
        ("print(3)", 0.5),
        ("", 0.0),
    ],
)
def test_the_share_of_outputs_that_are_right(sandbox: Sandbox, completion: str, share: float) -> None:
    assert score(grade(sandbox, completion, tests=SUMS)) == share


def test_all_or_nothing(sandbox: Sandbox) -> None:
    assert score(grade(sandbox, "print(3)", tests=SUMS, reward="all")) == 0.0


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("print(4)", "wrong answer"),
        ("while True: pass", "it took too long"),
        ("x = bytearray(10**10)", "it took too much memory"),
        ("1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("import os; os.abort()", "it ended with an error"),
    ],
)
def test_why_a_test_fails(sandbox: Sandbox, completion: str, reason: str) -> None:
    assert set(failed(grade(sandbox, completion, tests=SUMS)).values()) == {reason}


def test_an_error_of_the_compiler_is_told(sandbox: Sandbox) -> None:
    result = grade(sandbox, "def f(:", tests=SUMS)
    assert isinstance(result, Grade)
    assert (result.score, "SyntaxError" in result.details) == (0.0, True)


def test_time_and_memory_are_told(sandbox: Sandbox) -> None:
    result = grade(sandbox, "import time\ntime.sleep(0.2)\nx = bytearray(50 << 20)\nprint(3)", tests=SUMS)
    assert isinstance(result, Grade)
    assert result.details.startswith("1 of 2 tests passed; at most 0.")
    assert int(result.details.split(" and ")[1].split()[0]) >= 50
    assert all(part.seconds > 0.2 for part in result.parts.values())


# Calls


def test_calls(sandbox: Sandbox) -> None:
    assert score(grade(sandbox, GOOD, tests=CALLS)) == 1.0


def test_calls_do_not_share_state(sandbox: Sandbox) -> None:
    source = "n = 0\ndef count():\n    global n\n    n += 1\n    return n"
    assert score(grade(sandbox, source, tests=[{"call": "count", "expected": 1}] * 3)) == 1.0


def test_one_call_that_hangs_costs_its_own_test(sandbox: Sandbox) -> None:
    source = "def f(x):\n    while x == 1: pass\n    return x"
    tests = [{"call": "f", "args": [x], "expected": x} for x in range(4)]
    assert failed(grade(sandbox, source, tests=tests)) == {"test 2: f": "it took too long"}


def test_tests_of_the_row(sandbox: Sandbox) -> None:
    assert score(grade(sandbox, GOOD, {"tests": CALLS}, tests="{{ item.tests }}")) == 1.0


def test_a_row_without_tests_is_an_error(sandbox: Sandbox) -> None:
    result = grade(sandbox, GOOD, {"tests": "none"}, tests="{{ item.tests }}")
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE


# Unit tests


def test_unit_tests_of_every_kind(sandbox: Sandbox) -> None:
    result = grade(sandbox, GOOD, unit_tests=UNIT)
    assert (score(result), failed(result), len(result.parts)) == (1.0, {}, TESTS_IN_UNIT)


def test_unit_tests_find_what_is_wrong(sandbox: Sandbox) -> None:
    result = grade(sandbox, GOOD.replace("a + b", "a - b"), unit_tests=UNIT)
    assert {"assert (line 8)", "test_loop", "Sums.test_sum"} <= failed(result).keys()


def test_a_function_that_is_not_there_fails_its_tests(sandbox: Sandbox) -> None:
    result = grade(sandbox, "def add(a, b): return a + b", unit_tests=UNIT)
    assert failed(result) == {"test_objects": "NameError: name 'Stack' is not defined"}


def test_humaneval(sandbox: Sandbox) -> None:
    module = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9\n"
    item = {"test": module, "entry_point": "square"}
    fields = {"unit_tests": "{{ item.test }}", "entry_point": "{{ item.entry_point }}"}
    assert score(grade(sandbox, "def square(x): return x * x", item, **fields)) == 1.0
    assert score(grade(sandbox, "def square(x): return 4", item, **fields)) == 0.5


def test_a_module_without_tests_is_an_error(sandbox: Sandbox) -> None:
    result = grade(sandbox, GOOD, unit_tests="x = 1")
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.PYTHON_RUNTIME


def test_unit_tests_that_never_end_are_an_error(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graders.code.unit_tests._EXAMINER_SECONDS", 1.0)
    result = grade(sandbox, GOOD, unit_tests="def test_it():\n    while add(1, 1): pass\nassert add(1, 2) == 3\nwhile True: pass")
    assert isinstance(result, GradeError)
    assert result.details == "the unit tests took too long"


# No score can be forged

HONEST = "def secret(x): return 73571 + x"
SECRET_CALLS = [{"call": "secret", "args": [6], "expected": 73577}]
SECRET_UNIT = """
import unittest

def close(a, b):
    return abs(a - b) < 0.5

def test_it():
    assert secret(6) == 73577

assert close(secret(6), 73577)

class Secrets(unittest.TestCase):
    def test_secret(self):
        self.assertEqual(secret(6), 73577)
        self.assertTrue(isinstance(secret(6), int))
"""


@pytest.mark.parametrize("source", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_forgery_passes_a_call(sandbox: Sandbox, source: str) -> None:
    assert score(grade(sandbox, source, tests=SECRET_CALLS)) == 0.0


@pytest.mark.parametrize("source", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_forgery_passes_a_unit_test(sandbox: Sandbox, source: str) -> None:
    assert score(grade(sandbox, source, unit_tests=SECRET_UNIT)) == 0.0


@pytest.mark.parametrize("fields", [{"tests": SECRET_CALLS}, {"unit_tests": SECRET_UNIT}], ids=["calls", "unit tests"])
def test_the_honest_program_passes(sandbox: Sandbox, fields: dict[str, Any]) -> None:
    assert score(grade(sandbox, HONEST, **fields)) == 1.0


@pytest.mark.parametrize("name", FOOL_ONE_PROCESS)
def test_a_judge_in_one_process_is_fooled(name: str) -> None:
    test = "class It(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(secret(6), 73577)"
    program = f"{FORGERIES[name]}\nimport unittest\n{test}\nunittest.main()"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
