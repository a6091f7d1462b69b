from __future__ import annotations

import pytest

from core.webhooks.retries import FIRST_SECONDS, GIVE_UP_SECONDS, LONGEST_SECONDS, delay_after


def test_delays_grow_from_seconds_to_hours():
    assert 3.75 <= delay_after(1, None) <= 6.25
    assert 3.75 * 5 <= delay_after(2, None) <= 6.25 * 5
    assert LONGEST_SECONDS * 0.75 <= delay_after(1000, None) <= LONGEST_SECONDS * 1.25


def test_deliveries_that_failed_together_come_back_apart():
    assert len({delay_after(3, None) for _ in range(20)}) > 1


def test_an_endpoint_may_ask_for_a_longer_delay():
    assert delay_after(1, 600.0) == 600.0


@pytest.mark.parametrize("asked", [0.0, 1.0])
def test_an_endpoint_cannot_ask_for_a_shorter_delay(asked: float):
    assert delay_after(1, asked) >= FIRST_SECONDS * 0.75


def test_an_endpoint_cannot_ask_to_be_left_alone_for_ever():
    assert delay_after(1, 1e12) == LONGEST_SECONDS


def test_three_days_hold_a_good_number_of_attempts():
    attempts, passed = 0, 0.0
    while passed <= GIVE_UP_SECONDS:
        attempts += 1
        passed += delay_after(attempts, None)
    assert 15 <= attempts <= 35
