from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from core.errors import Unavailable
from worker.light.run import LightWork


class Counted:
    """A chore that does what a test says, and lets it wait for a number of passes."""

    every = 0.001

    def __init__(self, name: str, work: Callable[[int], None] = lambda _pass: None) -> None:
        self.name = name
        self.passes = 0
        self._work = work
        self._changed = threading.Condition()

    def run(self) -> None:
        with self._changed:
            self.passes += 1
            self._changed.notify_all()
        self._work(self.passes)

    def wait_for(self, passes: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.passes >= passes, timeout=60)


def test_chores_are_run_again_and_again():
    chores = [Counted("one"), Counted("two")]
    light = LightWork(chores)
    light.start()
    for chore in chores:
        chore.wait_for(3)
    light.stop()


@pytest.mark.parametrize("error", [RuntimeError("broken"), Unavailable("away")])
def test_a_failed_pass_is_logged_and_tried_again(error: Exception, caplog: pytest.LogCaptureFixture):
    def fails_at_first(number: int) -> None:
        if number == 1:
            raise error

    chore = Counted("sweep", fails_at_first)
    light = LightWork([chore])
    light.start()
    chore.wait_for(3)
    light.stop()
    assert [record.getMessage() for record in caplog.records if "sweep" in record.getMessage()]


def test_a_slow_chore_holds_up_no_other():
    over = threading.Event()
    slow, quick = Counted("slow", lambda _pass: over.wait() and None), Counted("quick")
    light = LightWork([slow, quick])
    light.start()
    slow.wait_for(1)
    quick.wait_for(5)
    assert slow.passes == 1
    over.set()
    light.stop()


def test_nothing_is_begun_after_the_stop():
    chore = Counted("one")
    light = LightWork([chore])
    light.start()
    chore.wait_for(1)
    light.stop()
    passes = chore.passes
    threading.Event().wait(0.05)
    assert chore.passes == passes
