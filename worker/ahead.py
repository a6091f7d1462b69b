"""Sampling one step ahead: the next step's groups are drawn on a thread of their own while the policy is updated.

They come from the weights before that update, always: which weights sample which step depends on nothing but its number, so that
a run repeats bit by bit. Two rules carry that over crashes: an engine that samples ahead has weights of its own, and a training
state is saved only where the next step's batches are kept, for the weights that sampled them are gone by then.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from worker.drawing import Drawn


class Ahead:
    """At most one step drawn ahead."""

    def __init__(self, draw: Callable[[int, int], Drawn], stop: Callable[[], None]) -> None:
        """`draw` takes a step and the version of the policy; `stop` makes one that is under way end soon."""
        self._draw, self._stop = draw, stop
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampling-ahead")
        self._drawing: tuple[int, Future[Drawn]] | None = None

    def begin(self, step: int, policy_version: int) -> None:
        """Draw this step from the engine's weights as they are. They must stay until `settle`."""
        self._drawing = step, self._thread.submit(self._draw, step, policy_version)

    def settle(self) -> Exception | None:
        """Wait until nothing is being sampled; what ended it before its time, if anything did."""
        if self._drawing is None:
            return None
        error = self._drawing[1].exception()
        assert error is None or isinstance(error, Exception)
        return error

    def take(self, step: int) -> Drawn | None:
        """The step, if it was drawn ahead."""
        if self._drawing is None or self._drawing[0] != step:
            return None
        drawn = self._drawing[1].result()
        self._drawing = None
        return drawn

    def has(self, step: int) -> bool:
        """Whether all of this step is drawn."""
        return self._drawing is not None and self._drawing[0] == step and self.settle() is None

    def close(self) -> None:
        """End what is under way; nobody wants it any more."""
        if self._drawing is not None and not self._drawing[1].done():
            self._stop()
        self._thread.shutdown()
