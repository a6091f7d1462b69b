from __future__ import annotations

import math

import pytest

from worker.seeds import batch_of_step, replacement_rows, sample_seed


@pytest.mark.parametrize(("rows", "batch_size"), [(8, 4), (10, 4), (1, 1), (7, 7), (50, 16)])
def test_every_pass_over_the_data_takes_each_row_once(rows: int, batch_size: int) -> None:
    steps = math.ceil(rows / batch_size)
    for epoch in range(3):
        batches = [batch_of_step(3, epoch * steps + place + 1, rows, batch_size) for place in range(steps)]
        assert sorted(row for batch in batches for row in batch) == list(range(rows))
        assert all(len(batch) == batch_size for batch in batches[:-1])


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(batch_of_step(seed, step, 30, 30)) for seed in (1, 2) for step in (1, 2)}
    assert len(orders) == 4


def test_each_part_of_a_samples_place_changes_its_seed() -> None:
    places = [(1, "train", 1, 1, 1), (2, "train", 1, 1, 1), (1, "valid", 1, 1, 1), (1, "train", 2, 1, 1)]
    places += [(1, "train", 1, 2, 1), (1, "train", 1, 1, 2), (1, "train", 11, 1, 1), (1, "train", 1, 11, 1)]
    assert len({sample_seed(*place) for place in places}) == len(places)


def test_seeds_are_the_same_on_every_machine() -> None:
    assert sample_seed(7, "train", 3, 2, 1) == 14868734984612567539
    assert batch_of_step(7, 1, 8, 4) == [0, 5, 1, 2]


def test_seeds_are_64_bits() -> None:
    assert 2**62 < max(sample_seed(1, "train", 1, 1, i) for i in range(100)) < 2**64


def test_a_step_turns_to_each_row_that_is_not_its_own_once() -> None:
    assert sorted(replacement_rows(3, 5, 10, [2, 7, 9])) == [0, 1, 3, 4, 5, 6, 8]
    assert replacement_rows(3, 5, 3, [0, 1, 2]) == []


def test_steps_and_seeds_turn_to_other_rows_first() -> None:
    assert len({tuple(replacement_rows(seed, step, 30, [])) for seed in (1, 2) for step in (1, 2)}) == 4
