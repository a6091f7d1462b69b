"""Rollouts shared out among several engines: whole groups, each engine the same number of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

from worker.rollout.base import Completion, Finished, PromptGroup, RolloutEngine, SamplingParams, unheard

T = TypeVar("T")


class SharedOut:
    """Implements `RolloutEngine` over engines that sample at the same time. Samples have seeds: who draws one does not matter.

    Each engine sees to itself where it is lost; what it raises in the end is raised here, and ends the others' work.
    """

    def __init__(self, engines: Sequence[RolloutEngine]) -> None:
        self._engines = engines
        self._threads = ThreadPoolExecutor(max_workers=len(engines), thread_name_prefix="engine")

    def generate(
        self, groups_P: Sequence[PromptGroup], params: SamplingParams, finished: Finished = unheard
    ) -> list[list[Completion]]:
        """See `RolloutEngine.generate`. `finished` is called by one thread at a time."""
        hearing = _Hearing(finished)
        shares = [range(first, len(groups_P), len(self._engines)) for first in range(len(self._engines))]
        calls: dict[Future[list[list[Completion]]], range] = {}
        for engine, share in zip(self._engines, shares, strict=True):
            if share:
                call = self._threads.submit(engine.generate, [groups_P[g] for g in share], params, hearing.of(share))
                call.add_done_callback(hearing.end_with)
                calls[call] = share
        _finish(list(calls))
        done = {g: row for call, share in calls.items() for g, row in zip(share, call.result(), strict=True)}
        return [done[g] for g in range(len(groups_P))]

    def sync(self) -> None:
        """See `RolloutEngine.sync`."""
        self._all([engine.sync for engine in self._engines])

    def close(self) -> None:
        """See `RolloutEngine.close`."""
        self._all([engine.close for engine in self._engines])
        self._threads.shutdown()

    def _all(self, work: Sequence[Callable[[], None]]) -> None:
        _finish([self._threads.submit(each) for each in work])


class _NotWanted(Exception):
    """Another engine's work has failed."""


class _Hearing:
    """Passes on what engines have finished, until one of them fails."""

    def __init__(self, finished: Finished) -> None:
        self._finished, self._lock, self._over = finished, Lock(), Event()

    def of(self, share: Sequence[int]) -> Finished:
        """For the engine with these groups."""

        def finished(group: int, member: int, completion: Completion) -> None:
            with self._lock:
                if self._over.is_set():
                    raise _NotWanted
                self._finished(share[group], member, completion)

        return finished

    def end_with(self, call: Future[list[list[Completion]]]) -> None:
        """End all where this one has failed."""
        if call.exception() is not None:
            self._over.set()


def _finish(calls: Sequence[Future[T]]) -> None:
    """Wait for all; raises what the first of them raised by itself."""
    wait(calls)
    errors = [error for call in calls if (error := call.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, _NotWanted)):
        raise error
