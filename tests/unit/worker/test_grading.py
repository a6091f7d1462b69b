from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from graders.base import FailureKind, Grade, GradeError, Sample
from worker.grading import AT_ONCE, IN_A_ROW, LEAST, WINDOW, FailureWatch, GraderFailing, GradingPool, failure_of_grader
from worker.rollouts import Result

GRADE = Grade(1.0)
CRASH = GradeError(FailureKind.PYTHON_RUNTIME, "Traceback: line 3")
AWAY = GradeError(FailureKind.MODEL_SERVER, "status 503")
NO_JSON = GradeError(FailureKind.SAMPLE_PARSE, "not JSON")


def stops(watch: FailureWatch, results: Sequence[Result]) -> GraderFailing | None:
    try:
        watch.batch(results)
    except GraderFailing as failure:
        return failure
    return None


def test_a_share_above_the_limit_stops_with_an_example() -> None:
    failure = stops(FailureWatch(0.5), [GRADE] * 7 + [CRASH] * 9)
    assert failure is not None
    assert str(failure) == (
        "Grading fails: 9 of the last 16 samples have no grade, more than grader_error_limit (0.5) allows. "
        "The last: python_grader_runtime_error: Traceback: line 3"
    )
    assert failure.data == {
        "errors": {"python_grader_runtime_error": 9},
        "example": {"kind": "python_grader_runtime", "details": "Traceback: line 3"},
    }


@pytest.mark.parametrize(
    ("limit", "results"),
    [
        (0.5, [GRADE] * 8 + [CRASH] * 8),
        (1.0, [CRASH] * WINDOW),
        (0.0, [GRADE] * WINDOW),
        (0.5, [CRASH] * (LEAST - 1)),
        (0.0, [NO_JSON] * WINDOW),
        (0.0, [GradeError(FailureKind.INVALID_VARIABLE, "")] * WINDOW),
    ],
    ids=["at-the-limit", "never", "no-failure", "too-few", "of-the-sample", "of-the-row"],
)
def test_the_run_goes_on(limit: float, results: list[Result]) -> None:
    assert stops(FailureWatch(limit), results) is None


def test_the_share_is_of_the_most_recent_samples() -> None:
    watch = FailureWatch(0.5)
    assert stops(watch, [GRADE] * 1000) is None
    assert stops(watch, [CRASH] * (WINDOW // 2)) is None
    assert stops(watch, [CRASH]) is not None


def test_a_batch_without_any_grade_stops_where_a_service_is_away() -> None:
    assert stops(FailureWatch(1.0), [AWAY] * 2) is not None
    assert stops(FailureWatch(1.0), [AWAY, GRADE]) is None


def test_failures_of_a_service_in_a_row_stop_before_the_batch_is_full() -> None:
    watch = FailureWatch(1.0)
    for result in [AWAY] * (IN_A_ROW - 1) + [GRADE] + [AWAY] * (IN_A_ROW - 1) + [CRASH] + [AWAY] * (IN_A_ROW - 1):
        watch.one(result)
    with pytest.raises(GraderFailing, match="the last 8 samples could not be graded"):
        watch.one(AWAY)


def test_a_members_failure_counts_even_behind_one_of_the_sample() -> None:
    assert failure_of_grader(GradeError(NO_JSON.kind, "", 0.0, {"a": NO_JSON, "b": AWAY, "c": GRADE})) == AWAY
    assert failure_of_grader(GradeError(NO_JSON.kind, "", 0.0, {"a": NO_JSON, "c": GRADE})) is None


class Scripted:
    """A grader that waits to be let go, and keeps what it was given at a time."""

    name = type = "scripted"

    def __init__(self, result: Callable[[Sample], Result]) -> None:
        self.result = result
        self.go = threading.Event()
        self.taken: list[int] = []

    def grade(self, samples: Sequence[Sample]) -> list[Result]:
        self.taken.append(len(samples))
        self.go.wait()
        return [self.result(sample) for sample in samples]

    def close(self) -> None:
        pass


@pytest.fixture
def pooled() -> Iterator[Callable[..., tuple[Scripted, GradingPool]]]:
    with ExitStack() as stack:

        def make(result: Callable[[Sample], Result]) -> tuple[Scripted, GradingPool]:
            grader = Scripted(result)
            pool = GradingPool(grader, FailureWatch(1.0))
            stack.callback(pool.close)
            stack.callback(grader.go.set)
            return grader, pool

        yield make


def sample(number: int) -> Sample:
    return Sample(item={"n": number}, output_text="")


def test_every_sample_gets_its_own_grade(pooled: Callable[..., tuple[Scripted, GradingPool]]) -> None:
    grader, pool = pooled(lambda sample: Grade(float(sample.item["n"])))
    futures = [pool.submit(sample(i)) for i in range(100)]
    grader.go.set()
    assert [future.result() for future in futures] == [Grade(float(i)) for i in range(100)]


def test_what_waits_is_graded_together(pooled: Callable[..., tuple[Scripted, GradingPool]]) -> None:
    grader, pool = pooled(lambda _: GRADE)
    futures = [pool.submit(sample(i)) for i in range(100)]
    grader.go.set()
    assert [future.result() for future in futures] == [GRADE] * 100
    assert sum(grader.taken) == 100
    assert max(grader.taken) == AT_ONCE


def test_nothing_is_graded_after_the_grader_was_found_not_to_work(pooled: Callable[..., tuple[Scripted, GradingPool]]) -> None:
    grader, pool = pooled(lambda _: AWAY)
    futures = [pool.submit(sample(i)) for i in range(100)]
    grader.go.set()
    assert all(isinstance(future.exception(), GraderFailing) for future in futures[-20:])
    with pytest.raises(GraderFailing):
        pool.submit(sample(0))


def test_a_batch_that_is_not_accepted_stops_it_too(pooled: Callable[..., tuple[Scripted, GradingPool]]) -> None:
    _, pool = pooled(lambda _: GRADE)
    with pytest.raises(GraderFailing):
        pool.accept([AWAY])
    with pytest.raises(GraderFailing):
        pool.submit(sample(0))


def test_a_fault_of_our_own_reaches_who_waits(pooled: Callable[..., tuple[Scripted, GradingPool]]) -> None:
    def broken(_: Sample) -> Result:
        raise ZeroDivisionError

    grader, pool = pooled(broken)
    future = pool.submit(sample(0))
    grader.go.set()
    assert isinstance(future.exception(), ZeroDivisionError)
    assert pool.failure is None
