"""The arithmetic of a bucket: how much fits, and what each request is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.limits.bucket import WINDOW_SECONDS, free, rate


def test_an_empty_backlog_leaves_the_whole_limit() -> None:
    assert free(0.0, 60) == 60


def test_a_backlog_of_the_window_leaves_nothing() -> None:
    assert free(WINDOW_SECONDS, 60) == 0


def test_the_first_request_leaves_the_rest() -> None:
    found = rate(0.0, 0, 60)
    assert (found.limit, found.remaining, found.reset_seconds, found.retry_seconds) == (60, 59, 1.0, None)


def test_the_last_that_fits_leaves_nothing() -> None:
    found = rate(59.0, 0, 60)
    assert (found.remaining, found.retry_seconds) == (0, None)


def test_one_too_many_is_told_when_to_come_again() -> None:
    found = rate(59.5, 0, 60)
    assert (found.remaining, found.retry_seconds) == (0, 0.5)


def test_those_that_come_together_are_told_apart() -> None:
    assert [rate(57.0, position, 60).retry_seconds is None for position in range(5)] == [True, True, True, False, False]


@given(limit=st.integers(1, 10_000_000), backlog=st.floats(0, WINDOW_SECONDS))
def test_as_many_pass_as_are_free(limit: int, backlog: float) -> None:
    fit = free(backlog, limit)
    assert rate(backlog, fit, limit).retry_seconds is not None
    if fit:
        assert rate(backlog, fit - 1, limit).retry_seconds is None


@given(limit=st.integers(1, 10_000_000), backlog=st.floats(0, WINDOW_SECONDS), position=st.integers(0, 1000))
def test_what_is_told_is_sensible(limit: int, backlog: float, position: int) -> None:
    found = rate(backlog, position, limit)
    assert 0 <= found.remaining < limit
    assert 0 <= found.reset_seconds <= WINDOW_SECONDS + 1e-3
    assert found.retry_seconds is None or 0 <= found.retry_seconds <= WINDOW_SECONDS
