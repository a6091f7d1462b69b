from __future__ import annotations

import threading

import pytest

from worker.ahead import Ahead
from worker.drawing import Drawn
from worker.sampling import LetGo, Sampled, SamplingStopped


def drawn(step: int, version: int) -> Drawn:
    return Drawn([], Sampled((), float(step)), version, None)


def unstopped() -> None:
    raise AssertionError


def test_what_was_drawn_ahead_is_given_once() -> None:
    ahead = Ahead(drawn, unstopped)
    ahead.begin(3, 1)
    assert ahead.settle() is None
    assert ahead.has(3)
    assert ahead.take(3) == drawn(3, 1)
    assert ahead.take(3) is None
    ahead.close()


def test_a_step_that_was_not_drawn_to_its_end_is_not_there() -> None:
    def pausing(_step: int, _version: int) -> Drawn:
        raise LetGo

    ahead = Ahead(pausing, unstopped)
    ahead.begin(3, 1)
    assert isinstance(ahead.settle(), LetGo)
    assert not ahead.has(3)
    with pytest.raises(LetGo):
        ahead.take(3)
    ahead.close()


def test_a_draw_that_nobody_wants_any_more_is_stopped() -> None:
    stopped = threading.Event()

    def endless(_step: int, _version: int) -> Drawn:
        stopped.wait()
        raise SamplingStopped

    ahead = Ahead(endless, stopped.set)
    ahead.begin(1, 0)
    ahead.close()
    assert stopped.is_set()
