"""Unit tests in Python. The test module and the code under test run in two sandboxes, and meet only by way of this process.

The module is run first with nothing known, which gives the calls that it makes (`examiner.py`). These are made in the code's
sandbox (`candidate.py`), and the module is run again on the results. Where it then makes other calls, because a result led it
there, they are made as well, and so on. The code under test sees the arguments of its calls, and nothing else of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graders.base import Json, ProgramResult, Sandbox
from graders.code.outcome import CodeOutcome, TestOutcome
from graders.code.programs import answers, candidate_program, examiner_program
from graders.code.values import NotPlain, decode, encode

MOST_ROUNDS = 12
_EXAMINER_SECONDS = 20.0
_EXAMINER_BYTES = 512 << 20
_START_SECONDS = 5.0
_MOST_SECONDS = 60.0
_GONE = {"error": "OutOfTime", "message": "the code under test ended or took too long"}


@dataclass
class _Examination:
    """One completion on its way through its rounds."""

    source: str
    tests: str
    entry_point: str | None
    calls: list[Json]
    log: list[Json] = field(default_factory=list)
    outcome: CodeOutcome | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class UnitTests:
    """A test module."""

    source: str
    entry_point: str | None = None
    """The function that `check(candidate)` is called with, where the module defines one."""


class Relay:
    """Runs unit tests. The calls that a module makes at first are remembered: they are the same for a whole group."""

    def __init__(self, sandbox: Sandbox, seconds: float, memory_bytes: int) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._first_calls: dict[UnitTests, list[Json] | str] = {}

    def run(self, work: Sequence[tuple[str, UnitTests]]) -> list[CodeOutcome]:
        """Each source against its tests. Raises `SandboxUnavailable`."""
        known = self._discover({tests for _, tests in work})
        examinations = []
        for source, tests in work:
            calls = known[tests]
            one = _Examination(source, tests.source, tests.entry_point, calls if isinstance(calls, list) else [])
            one.outcome = CodeOutcome([], failure=calls) if isinstance(calls, str) else None
            examinations.append(one)
        for _ in range(MOST_ROUNDS):
            open_ = [one for one in examinations if one.outcome is None]
            if not open_:
                break
            self._round(open_)
        return [one.outcome or _too_many_rounds(one) for one in examinations]

    def _discover(self, modules: set[UnitTests]) -> dict[UnitTests, list[Json] | str]:
        """The first calls of each module, or why it cannot be run. Kept for as long as the rows are at hand."""
        missing = [tests for tests in modules if tests not in self._first_calls]
        if len(self._first_calls) > 1000:
            self._first_calls.clear()
            missing = list(modules)
        programs = [_examine(tests.source, tests.entry_point, []) for tests in missing]
        for tests, result in zip(missing, self._sandbox.execute(programs) if programs else [], strict=True):
            report = _report(result)
            self._first_calls[tests] = report["calls"] if report is not None else _no_report(result)
        return self._first_calls

    def _round(self, open_: Sequence[_Examination]) -> None:
        """Make the calls, then run the tests on what they gave."""
        programs = [candidate_program(self._job(one), self._limit(one), self._memory_bytes) for one in open_]
        for one, result in zip(open_, self._sandbox.execute(programs), strict=True):
            self._note(one, result)
        ready = [one for one in open_ if one.outcome is None]
        if not ready:
            return
        programs = [_examine(one.tests, one.entry_point, one.log) for one in ready]
        for one, result in zip(ready, self._sandbox.execute(programs), strict=True):
            _judge(one, result)

    def _job(self, one: _Examination) -> Json:
        return {"source": one.source, "kind": "sequence", "tests": one.calls, "seconds": self._seconds, "output": 0}

    def _limit(self, one: _Examination) -> float:
        return min(_START_SECONDS + self._seconds * max(len(one.calls), 1), _MOST_SECONDS)

    def _note(self, one: _Examination, result: ProgramResult) -> None:
        one.seconds += result.seconds
        found = answers(result)
        for stage, phrase in (("compile", "it does not compile"), ("load", "it cannot be loaded")):
            if found and stage in found[0]:
                trouble = f"{phrase}: {found[0][stage]}"
                one.outcome = CodeOutcome([TestOutcome("tests", False, trouble)], trouble, None, one.seconds)
                return
        results = [_safe(result) for result in found[: len(one.calls)]] + [_GONE] * (len(one.calls) - len(found))
        one.log = [{"call": call, "result": result} for call, result in zip(one.calls, results, strict=True)]


def _safe(result: Json) -> Json:
    """A result in one of its three forms: the code under test may have printed anything."""
    if "value" in result:
        try:
            return {"value": encode(decode(result["value"]))}
        except (NotPlain, RecursionError):
            return _GONE
    if type(result.get("object")) is int:
        return {"object": result["object"]}
    return {"error": str(result.get("error"))[:100], "message": str(result.get("message", ""))[:500]}


def _examine(tests: str, entry_point: str | None, log: list[Json]) -> Any:
    return examiner_program({"tests": tests, "entry_point": entry_point, "log": log}, _EXAMINER_SECONDS, _EXAMINER_BYTES)


def _judge(one: _Examination, result: ProgramResult) -> None:
    one.seconds += result.seconds
    report = _report(result)
    if report is None:
        one.outcome = CodeOutcome([], failure=_no_report(result), seconds=one.seconds)
    elif report["pending"]:
        one.calls = report["calls"]
    elif not report["results"]:
        one.outcome = CodeOutcome([], failure="the unit tests hold no test", seconds=one.seconds)
    else:
        tests = [TestOutcome(name, failure is None, failure or "") for name, failure in report["results"]]
        one.outcome = CodeOutcome(tests, seconds=one.seconds)


def _report(result: ProgramResult) -> Json | None:
    found = answers(result)
    return found[0] if result.exit_code == 0 and len(found) == 1 and "results" in found[0] else None


def _no_report(result: ProgramResult) -> str:
    if result.timed_out:
        return "the unit tests took too long"
    last = result.stderr.strip().split("\n")[-1][:500]
    return f"the unit tests did not come to their end: {last or 'they ended their process'}"


def _too_many_rounds(one: _Examination) -> CodeOutcome:
    reason = "the tests' calls depend on each other's results too often"
    return CodeOutcome([], failure=reason, seconds=one.seconds)
