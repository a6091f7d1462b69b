"""The grader of type `code`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graders.base import FailureKind, Grade, GradeError, Sample, Sandbox
from graders.code import listed
from graders.code.extract import extract
from graders.code.outcome import CodeOutcome
from graders.code.tests import InvalidTests, Tests, read_tests
from graders.code.unit_tests import Relay, UnitTests
from graders.sandbox.client import SandboxUnavailable
from graders.specs.code import MAX_SOURCE_BYTES, CodeTests
from graders.template import RenderError, Template, Variable, lookup, single_variable


@dataclass(frozen=True)
class _Work:
    """One completion's program and its tests."""

    source: str
    tests: Tests | UnitTests


class CodeGrader:
    """The share of tests that a completion's program passes, or whether it passes all. Every test is a part of the grade."""

    type = "code"

    def __init__(self, spec: CodeTests, sandbox: Sandbox) -> None:
        self.name = spec.name
        self._spec = spec
        self._sandbox = sandbox
        self._input = Template.parse(spec.input)
        self._tests: Tests | Variable | None = (
            single_variable(spec.tests) if isinstance(spec.tests, str) else read_tests(spec.tests) if spec.tests else None
        )
        self._unit_tests = Template.parse(spec.unit_tests) if spec.unit_tests is not None else None
        self._entry_point = Template.parse(spec.entry_point) if spec.entry_point is not None else None
        self._memory_bytes = spec.memory_limit << 20
        self._relay = Relay(sandbox, spec.time_limit, self._memory_bytes)

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        prepared = [self._prepare(sample) for sample in samples]
        try:
            outcomes = iter(self._run([entry for entry in prepared if isinstance(entry, _Work)]))
        except SandboxUnavailable as error:
            return [GradeError(FailureKind.PYTHON_SERVER, error.message) for _ in samples]
        return [entry if isinstance(entry, GradeError) else self._grade(next(outcomes)) for entry in prepared]

    def close(self) -> None:
        """Close the sandbox."""
        self._sandbox.close()

    def _prepare(self, sample: Sample) -> _Work | GradeError:
        try:
            source = extract(self._input.render(sample))
            if len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
                return GradeError(FailureKind.OTHER, f"the program is larger than {MAX_SOURCE_BYTES} bytes")
            return _Work(source, self._tests_of(sample))
        except RenderError as error:
            return GradeError(error.kind, str(error))
        except InvalidTests as error:
            return GradeError(FailureKind.INVALID_VARIABLE, str(error))

    def _tests_of(self, sample: Sample) -> Tests | UnitTests:
        if self._unit_tests is not None:
            entry_point = self._entry_point.render(sample) if self._entry_point is not None else None
            return UnitTests(self._unit_tests.render(sample), entry_point)
        assert self._tests is not None  # the configuration has one of the two
        return read_tests(lookup(self._tests, sample)) if isinstance(self._tests, Variable) else self._tests

    def _run(self, work: Sequence[_Work]) -> list[CodeOutcome]:
        if not work:
            return []
        if self._unit_tests is not None:
            return self._relay.run([(one.source, one.tests) for one in work if isinstance(one.tests, UnitTests)])
        pairs = [(one.source, one.tests) for one in work if not isinstance(one.tests, UnitTests)]
        programs = [listed.program(source, tests, self._spec.time_limit, self._memory_bytes) for source, tests in pairs]
        results = self._sandbox.execute(programs)
        return [listed.outcome(tests, result) for (_, tests), result in zip(pairs, results, strict=True)]

    def _grade(self, outcome: CodeOutcome) -> Grade | GradeError:
        if outcome.failure is not None:
            return GradeError(FailureKind.PYTHON_RUNTIME, outcome.failure, outcome.seconds)
        passed = sum(test.passed for test in outcome.tests)
        score = float(passed == len(outcome.tests)) if self._spec.reward == "all" else passed / len(outcome.tests)
        parts: dict[str, Grade | GradeError] = {}
        for test in outcome.tests:
            parts[_unused(test.name, parts)] = Grade(float(test.passed), test.seconds, details=test.reason)
        return Grade(score, outcome.seconds, parts, details=_details(outcome, passed))


def _details(outcome: CodeOutcome, passed: int) -> str:
    if outcome.trouble:
        return outcome.trouble
    text = f"{passed} of {len(outcome.tests)} tests passed"
    slowest = max((test.seconds for test in outcome.tests), default=0.0)
    memory = max((test.memory_bytes for test in outcome.tests), default=0)
    return f"{text}; at most {slowest:.3f} s and {memory / (1 << 20):.0f} MiB a test" if memory else text


def _unused(name: str, parts: dict[str, Grade | GradeError]) -> str:
    """Test methods of two classes may have one name."""
    count = 1
    candidate = name
    while candidate in parts:
        count += 1
        candidate = f"{name} ({count})"
    return candidate
