from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from worker.canary import ROWS, Canary, OutOfSync, Sequences

SEQUENCES = [((1, 2), (3, 4)), ((5,), (6,))]


@dataclass
class Side:
    """Scores every token with one number."""

    logprob: float
    asked: list[tuple[Sequences, float]] = field(default_factory=list)
    rests: int = 0

    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        self.asked.append((sequences, temperature))
        return [[self.logprob for _ in completion] for _, completion in sequences]

    def rest(self) -> None:
        self.rests += 1


def test_before_it_has_sequences_it_proves_nothing() -> None:
    assert Canary([Side(-1.0)], Side(-2.0), 1.0, 0.1).check() is None


def test_the_largest_difference_is_told() -> None:
    engine = Side(-1.0)
    canary = Canary([engine], Side(-1.0625), 0.7, 0.1)
    canary.before_update(SEQUENCES)
    assert canary.check() == 0.0625
    assert {temperature for _, temperature in engine.asked} == {0.7}


@pytest.mark.parametrize("theirs", [-1.2, -0.8, math.nan])
def test_a_difference_over_the_limit_ends_the_job(theirs: float) -> None:
    canary = Canary([Side(-1.0)], Side(theirs), 1.0, 0.1)
    with pytest.raises(OutOfSync, match="does not sample from the policy"):
        canary.before_update(SEQUENCES)


def test_every_engine_is_proven() -> None:
    canary = Canary([Side(-1.0), Side(-1.0625)], Side(-1.0), 1.0, 0.1)
    canary.before_update(SEQUENCES)
    assert canary.check() == 0.0625
    with pytest.raises(OutOfSync):
        Canary([Side(-1.0), Side(-2.0)], Side(-1.0), 1.0, 0.1).before_update(SEQUENCES)


def test_the_sequences_stay_those_of_the_first_batch() -> None:
    engine = Side(-1.0)
    canary = Canary([engine], Side(-1.0), 1.0, 0.1)
    canary.before_update(SEQUENCES)
    canary.before_update([((7,), (8,))])
    canary.check()
    assert [sequences for sequences, _ in engine.asked] == [SEQUENCES, SEQUENCES]


def test_a_batch_is_represented_from_end_to_end_by_a_few_of_its_sequences() -> None:
    engine = Side(-1.0)
    Canary([engine], Side(-1.0), 1.0, 0.1).before_update([((i,), (i,)) for i in range(100)])
    firsts = [prompt[0] for prompt, _ in engine.asked[0][0]]
    assert len(firsts) == ROWS
    assert firsts[0] == 0
    assert firsts[-1] > 80


def test_the_engine_makes_room_before_every_update() -> None:
    engine = Side(-1.0)
    canary = Canary([engine], Side(-1.0), 1.0, 0.1)
    canary.before_update(SEQUENCES)
    canary.before_update(SEQUENCES)
    assert engine.rests == 2
