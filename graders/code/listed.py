"""Tests that are lists of inputs and expected outputs: one program in the sandbox, all comparisons here."""

from __future__ import annotations

import json
from typing import Any

from graders.base import Json, Program, ProgramResult
from graders.code.compare import same_output, same_value
from graders.code.outcome import CodeOutcome, TestOutcome
from graders.code.programs import answers, candidate_program
from graders.code.tests import MAX_OUTPUT, CallTest, ProgramTest, Tests
from graders.code.values import NotPlain, decode

_START_SECONDS = 5.0
_TIMEOUTS = 3
_MOST_SECONDS = 110.0

_REASONS = {
    "time": "it took too long",
    "memory": "it took too much memory",
    "skipped": "not begun: too many tests took too long",
}


def program(source: str, tests: Tests, seconds: float, memory_bytes: int) -> Program:
    """What to run for one completion."""
    kind = "stdin" if isinstance(tests[0], ProgramTest) else "calls"
    sent = [{"stdin": test.stdin} if isinstance(test, ProgramTest) else test.sent() for test in tests]
    job = {"source": source, "kind": kind, "tests": sent, "seconds": seconds, "output": MAX_OUTPUT}
    # Every test may take its time, and a few may overrun; beyond that lies code that does not keep to its limits.
    total = min(_START_SECONDS + seconds * (len(tests) + _TIMEOUTS), _MOST_SECONDS)
    return candidate_program(job, total, memory_bytes)


def outcome(tests: Tests, result: ProgramResult) -> CodeOutcome:
    """Compare what was answered."""
    found = answers(result)
    trouble = _trouble(found, result)
    if trouble:
        return CodeOutcome([TestOutcome(_name(i, t), False, trouble) for i, t in enumerate(tests)], trouble, None, result.seconds)
    missing = _ending(result)
    padded = found[: len(tests)] + [{"status": "missing"}] * (len(tests) - len(found))
    judged = [_judge(_name(i, test), test, answer, missing) for i, (test, answer) in enumerate(zip(tests, padded, strict=True))]
    return CodeOutcome(judged, "", None, result.seconds)


def _trouble(found: list[Json], result: ProgramResult) -> str:
    if found and "compile" in found[0]:
        return f"it does not compile: {found[0]['compile']}"
    if found and "load" in found[0]:
        return "loading it took too long" if found[0]["load"] == "time" else f"it cannot be loaded: {found[0]['load']}"
    return "" if found else f"nothing could be run: {_ending(result)}"


def _ending(result: ProgramResult) -> str:
    if result.timed_out:
        return _REASONS["time"]
    return _REASONS["memory"] if result.out_of_memory else "the code ended its process"


def _judge(name: str, test: ProgramTest | CallTest, answer: Json, missing: str) -> TestOutcome:
    """The answer is the code's own, whatever it looks like: only its output counts, the rest is told."""
    passed = answer.get("status") == "ok" and _same(test, answer.get("out"))
    seconds, memory = (_number(answer.get(key)) for key in ("seconds", "memory"))
    if passed:
        return TestOutcome(name, True, "", seconds, int(memory))
    return TestOutcome(name, False, _reason(answer, missing), seconds, int(memory))


def _reason(answer: Json, missing: str) -> str:
    status = answer.get("status")
    if status == "error":
        return str(answer.get("err"))[-500:].strip() or "it ended with an error"
    if status == "ok":
        return "wrong answer"
    return _REASONS.get(str(status), missing)


def _same(test: ProgramTest | CallTest, output: Any) -> bool:
    if not isinstance(output, str):
        return False
    if isinstance(test, ProgramTest):
        return same_output(output, test.expected)
    try:
        return same_value(decode(json.loads(output)), test.expected)
    except (ValueError, RecursionError, NotPlain):
        return False


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and 0 <= value < 1e15 else 0.0


def _name(index: int, test: ProgramTest | CallTest) -> str:
    return f"test {index + 1}" if isinstance(test, ProgramTest) else f"test {index + 1}: {test.name}"
