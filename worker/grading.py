"""Grading beside sampling: completions are graded as they end, and a grader that does not work stops the run."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from core.failpoints import hit
from core.jobs.types import Json
from core.lifeline import mark_progress
from graders.base import FailureKind, GradeError, Grader, Sample
from worker.rollouts import Result

WORKERS = 4
AT_ONCE = 16
"""Samples that a worker takes to the grader at a time."""
WINDOW = 64
"""Samples over which the share of failures is taken."""
LEAST = 16
"""Samples before which a share says nothing."""
IN_A_ROW = 8
"""Samples in a row for which a judge, an endpoint or the sandbox was not there: each of them was tried for again already."""
_QUOTED = 2000

OF_THE_SAMPLE = frozenset({FailureKind.SAMPLE_PARSE, FailureKind.INVALID_VARIABLE})
"""Failures that a completion, or its row, brings about: they are for the model to learn, or for the data, not the grader's."""
OF_A_SERVICE = frozenset(
    {FailureKind.MODEL_SERVER, FailureKind.ENDPOINT_SERVER, FailureKind.ENDPOINT_INTERNAL, FailureKind.PYTHON_SERVER}
)
"""Failures of what a grader relies on."""


class GraderFailing(Exception):
    """Going on would waste the run: the job must pause. `data` holds the counts of failures and an example."""

    def __init__(self, message: str, data: Json) -> None:
        super().__init__(message)
        self.data = data


class FailureWatch:
    """Looks at grades as they come. Safe to use from several threads."""

    def __init__(self, limit: float) -> None:
        """`limit` is the share of failures above which to stop, the job's `grader_error_limit`."""
        self._limit = limit
        self._recent: deque[GradeError | None] = deque(maxlen=WINDOW)
        self._in_a_row = 0
        self._lock = threading.Lock()

    def one(self, result: Result) -> None:
        """Note a grade when it is there. Raises `GraderFailing` where a service has been away for too long."""
        failure = failure_of_grader(result)
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if failure and failure.kind in OF_A_SERVICE else 0
            if failure and self._in_a_row >= IN_A_ROW:
                raise _failing(f"the last {self._in_a_row} samples could not be graded", [failure] * self._in_a_row)

    def batch(self, results: Sequence[Result]) -> None:
        """Note a sampling batch before it is kept. Raises `GraderFailing` where too much of what was graded has failed."""
        failures = [failure_of_grader(result) for result in results]
        real = [failure for failure in failures if failure]
        if real and len(real) == len(results) and all(failure.kind in OF_A_SERVICE for failure in real):
            raise _failing(f"none of {len(results)} samples could be graded", real)
        with self._lock:
            self._recent.extend(failures)
            recent = [failure for failure in self._recent if failure]
            if len(self._recent) >= LEAST and len(recent) > self._limit * len(self._recent):
                share = f"{len(recent)} of the last {len(self._recent)} samples have no grade"
                raise _failing(f"{share}, more than grader_error_limit ({self._limit:g}) allows", recent)


def failure_of_grader(result: Result) -> GradeError | None:
    """What of the grader's own doing failed, its members included; None for a grade, and for failures of the sample."""
    if not isinstance(result, GradeError):
        return None
    return next((failure for failure in _failures(result) if failure.kind not in OF_THE_SAMPLE), None)


def _failures(result: Result) -> Iterator[GradeError]:
    if isinstance(result, GradeError):
        yield result
    for part in result.parts.values():
        yield from _failures(part)


def _failing(what: str, failures: Sequence[GradeError]) -> GraderFailing:
    example = failures[-1]
    counts = Counter(f"{failure.kind}_error" for failure in failures)
    message = f"Grading fails: {what}. The last: {example.kind}_error: {example.details[-_QUOTED:]}"
    return GraderFailing(message, {"errors": dict(counts), "example": {"kind": example.kind.value, "details": example.details}})


class GradingPool:
    """Grades samples on threads of its own: a thread takes what is waiting, so that a grader gets many at a time under load."""

    def __init__(self, grader: Grader, watch: FailureWatch) -> None:
        self._grader = grader
        self._watch = watch
        self._waiting: deque[tuple[Sample, Future[Result]]] = deque()
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="grading")
        self.failure: GraderFailing | None = None
        """Set once the grader was found not to work: nothing is graded after that."""

    def submit(self, sample: Sample) -> Future[Result]:
        """The grade to come. Raises `GraderFailing` once the grader was found not to work, as the future may too."""
        if self.failure:
            raise self.failure
        future: Future[Result] = Future()
        self._waiting.append((sample, future))
        self._threads.submit(self._work)
        return future

    def accept(self, results: Sequence[Result]) -> None:
        """Look at a sampling batch before it is kept. Raises `GraderFailing`, and then nothing is graded any more."""
        try:
            self._watch.batch(results)
        except GraderFailing as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Wait for the grading under way."""
        self._threads.shutdown()

    def _work(self) -> None:
        taken = list(self._take())
        if not taken:
            return
        try:
            if self.failure:
                raise self.failure
            results = self._grader.grade([sample for sample, _ in taken])
            mark_progress()
            hit("mid_grading")
            for result in results:
                self._watch.one(result)
        except Exception as error:  # noqa: BLE001  whoever waits for the grades gets it
            if isinstance(error, GraderFailing):
                self.failure = error
            for _, future in taken:
                future.set_exception(error)
            return
        for (_, future), result in zip(taken, results, strict=True):
            future.set_result(result)

    def _take(self) -> Iterator[tuple[Sample, Future[Result]]]:
        for _ in range(AT_ONCE):
            try:
                yield self._waiting.popleft()
            except IndexError:
                return
