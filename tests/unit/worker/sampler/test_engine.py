from __future__ import annotations

import pytest

from worker.sampler.engine import Recent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_made_once() -> None:
    recent: Recent[object] = Recent(2)

    assert recent.get("a", object) is recent.get("a", object)


def test_the_value_used_longest_ago_makes_room() -> None:
    recent: Recent[object] = Recent(2)
    a, b = recent.get("a", object), recent.get("b", object)
    recent.get("a", object)
    recent.get("c", object)

    assert recent.get("a", object) is a
    assert recent.get("b", object) is not b


def test_room_is_made_before_the_new_value() -> None:
    recent: Recent[list[int]] = Recent(1)
    alive: list[int] = []

    class Counted(list[int]):
        def __init__(self) -> None:
            alive.append(1)
            super().__init__(alive)

        def __del__(self) -> None:
            alive.pop()

    recent.get("a", Counted)

    assert recent.get("b", Counted) == [1]


def test_a_value_that_cannot_be_made_is_not_kept() -> None:
    recent: Recent[object] = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 / 0)

    value = object()
    assert recent.get("a", lambda: value) is value


def test_idle_values_are_dropped_and_used_ones_kept() -> None:
    clock = Clock()
    recent: Recent[object] = Recent(2, clock)
    a, b = recent.get("a", object), recent.get("b", object)
    clock.now = 50.0
    recent.get("b", object)
    clock.now = 100.0
    recent.drop_idle(60.0)

    assert recent.get("b", object) is b
    assert recent.get("a", object) is not a
