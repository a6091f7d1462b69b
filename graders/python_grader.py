"""`python`: a user's `grade(sample, item)`, run in the sandbox."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graders.base import FailureKind, Grade, GradeError, Sample, Sandbox, SandboxReply
from graders.sandbox.client import SandboxUnavailable
from graders.specs.python import PythonSource


class PythonGrader:
    """Sends samples to a sandbox and judges what comes back. `close` closes the sandbox it was given."""

    type = "python"

    def __init__(self, spec: PythonSource, sandbox: Sandbox) -> None:
        self.name = spec.name
        self._source = spec.source
        self._sandbox = sandbox

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        try:
            replies = self._sandbox.run(self._source, [(sample.namespace(), sample.item) for sample in samples])
        except SandboxUnavailable as error:
            return [GradeError(FailureKind.PYTHON_SERVER, error.message) for _ in samples]
        return [judge(reply) for reply in replies]

    def close(self) -> None:
        """Close the sandbox."""
        self._sandbox.close()


def judge(reply: SandboxReply) -> Grade | GradeError:
    """A finite number is a grade; an error, another type, NaN or an infinity is not. True and False count as 1 and 0."""
    if reply.error is not None:
        return GradeError(FailureKind.PYTHON_RUNTIME, reply.error, reply.seconds)
    if type(reply.value) not in (bool, int, float):
        details = f"grade returned a {type(reply.value).__name__}, not a number"
        return GradeError(FailureKind.PYTHON_RUNTIME, details, reply.seconds)
    try:
        score = float(reply.value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        return GradeError(FailureKind.PYTHON_RUNTIME, f"grade returned {score}, not a finite number", reply.seconds)
    return Grade(score, reply.seconds)
