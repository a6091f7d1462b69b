from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from worker.policy.base import UpdateStats
from worker.update_watch import NOT_FINITE_LIMIT, NotFinite, UpdateWatch

GOOD = UpdateStats(0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.5, tokens=10, skipped=False, micro_batch_tokens=(1024,))
BAD = UpdateStats(None, None, 0.0, None, 0.0, None, None, tokens=10, skipped=True, not_finite=True, micro_batch_tokens=(1024,))
NO_SIGNAL = UpdateStats(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, tokens=10, skipped=True)


def metrics(*updates: UpdateStats) -> list[dict[str, Any]]:
    """Of step 0, an evaluation, and of one step for each update."""
    figures = [None, *(asdict(stats) for stats in updates)]
    return [{"step": step, "touchstone": {"update": update}} for step, update in enumerate(figures)]


def feed(watch: UpdateWatch, *updates: UpdateStats, first: int = 1) -> None:
    for step, stats in enumerate(updates, start=first):
        watch.accept(step, stats)


def test_a_run_of_updates_that_are_not_finite_ends_the_job() -> None:
    watch = UpdateWatch((), 0, lambda _: None)
    feed(watch, *[BAD] * (NOT_FINITE_LIMIT - 1))
    with pytest.raises(NotFinite, match=f"step {NOT_FINITE_LIMIT}"):
        watch.accept(NOT_FINITE_LIMIT, BAD)


def test_a_good_update_starts_the_count_afresh() -> None:
    feed(UpdateWatch((), 0, lambda _: None), *[*[BAD] * (NOT_FINITE_LIMIT - 1), GOOD] * 2)


def test_a_step_without_signal_neither_counts_nor_clears() -> None:
    watch = UpdateWatch((), 0, lambda _: None)
    feed(watch, *[BAD] * (NOT_FINITE_LIMIT - 1), NO_SIGNAL)
    with pytest.raises(NotFinite):
        watch.accept(NOT_FINITE_LIMIT + 1, BAD)


@pytest.mark.parametrize("restored", range(NOT_FINITE_LIMIT))
def test_the_count_goes_on_where_an_earlier_run_left_it(restored: int) -> None:
    """Committed updates behind the restored state come by again and count once."""
    committed = [BAD] * (NOT_FINITE_LIMIT - 1)
    watch = UpdateWatch(metrics(*committed), restored, lambda _: None)
    feed(watch, *committed[restored:], first=restored + 1)
    with pytest.raises(NotFinite):
        watch.accept(NOT_FINITE_LIMIT, BAD)


def test_each_new_update_that_is_left_out_is_told_of_and_a_replayed_one_is_not() -> None:
    told: list[str] = []
    feed(UpdateWatch(metrics(BAD), 0, told.append), BAD, BAD)
    assert [message.split(":")[0] for message in told] == ["Step 2"]


def test_a_replayed_update_is_cut_as_it_was() -> None:
    small = UpdateStats(0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.5, tokens=10, skipped=False, micro_batch_tokens=(1024, 256))
    watch = UpdateWatch(metrics(GOOD, small), 0, lambda _: None)
    assert [watch.cuts(step) for step in (1, 2, 3)] == [(1024,), (1024, 256), ()]


def test_smaller_parts_are_told_of_once() -> None:
    told: list[str] = []
    small = UpdateStats(0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.5, tokens=10, skipped=False, micro_batch_tokens=(512,))
    feed(UpdateWatch((), 0, told.append), GOOD, small, NO_SIGNAL, small)
    assert len(told) == 1
    assert "512" in told[0]


def test_metrics_of_an_earlier_version_are_read() -> None:
    update = {name: value for name, value in asdict(GOOD).items() if name not in ("not_finite", "micro_batch_tokens")}
    watch = UpdateWatch([{"step": 1, "touchstone": {"update": update}}], 1, lambda _: None)
    assert watch.cuts(1) == ()
