from __future__ import annotations

from dataclasses import dataclass

from core.jobs.ranking import best_first


@dataclass(frozen=True)
class Entry:
    step: int
    valid_reward: float | None


def test_the_highest_reward_comes_first_and_the_earlier_of_equals() -> None:
    entries = [Entry(4, 0.5), Entry(8, 0.9), Entry(12, 0.9), Entry(16, -1.0)]
    assert [entry.step for entry in best_first(entries)] == [8, 12, 4, 16]


def test_what_was_not_validated_has_no_rank() -> None:
    assert best_first([Entry(4, None), Entry(8, 0.0)]) == [Entry(8, 0.0)]
