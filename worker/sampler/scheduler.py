"""One thread that loads, merges and samples: requests for the same weights side by side, others turn and turn about.

Requests begin in the order they came, as soon as there is room in memory for their positions and for their weights.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Protocol, TypeVar

from core.errors import RftError, Unavailable
from worker.policy.model import Weights
from worker.sampler.batch import Batch, Part
from worker.sampler.engine import KEEP_BASES, KEEP_MERGED, Engine
from worker.sampler.generation import Generation, Piece
from worker.sampler.request import ChatRequest

T = TypeVar("T")
Key = tuple[str, str | None]
"""Which weights: the base model, and the manifest of an adapter."""

log = logging.getLogger(__name__)

CACHED_POSITIONS = 1 << 16
"""Positions of all batches together, padding and what is still to come included; a single part of a request may need more."""


class SamplingFailed(RftError):
    """A request ended for a reason that is the server's."""

    code = "sampler_error"
    type = "server_error"


class Listener(Protocol):
    """Who asked. Called on the scheduler's thread, and must not wait."""

    def begun(self, generation: Generation) -> None:
        """The request is good, and is being sampled."""

    def pieces(self, made: list[Piece]) -> None:
        """What one step added."""

    def ended(self, error: RftError | None) -> None:
        """Nothing more will come: all is sampled, or something was wrong. Not called for a request that was given up."""


class Ticket:
    """A request on its way through the scheduler."""

    def __init__(self, request: ChatRequest, listener: Listener) -> None:
        self.request = request
        self.listener = listener
        self.key: Key = (request.touchstone.base_model, request.touchstone.manifest_key)
        self.generation: Generation | None = None
        self.to_begin: deque[Part] = deque()
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Sample no further, and tell nobody; may be called from any thread."""
        self._given_up.set()
        if self.generation is not None:
            self.generation.stop()

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits any more."""
        return self._given_up.is_set()

    def begin(self, generation: Generation, weights: Weights) -> None:
        """Cut the request into parts of as many choices as there is room for at once."""
        self.generation = generation
        if self.is_given_up:
            generation.stop()
        count = len(generation.choices)
        together = max(1, CACHED_POSITIONS // (len(generation.prompt) + generation.max_tokens))
        for start in range(0, count, together):
            self.to_begin.append(Part(generation, weights, range(start, min(count, start + together))))


class Scheduler:
    """Owns the engine and the thread that uses it. All methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._errands: deque[Callable[[], None]] = deque()
        self._closed = False
        self._batches: dict[Key, Batch] = {}
        self._running: dict[Generation, Ticket] = {}
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def submit(self, request: ChatRequest, listener: Listener) -> Ticket:
        """Have a request sampled; the listener learns of everything that comes of it."""
        ticket = Ticket(request, listener)
        with self._changed:
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket

    def call(self, work: Callable[[Engine], T]) -> Future[T]:
        """Have something else done with the engine, between two tokens."""
        future: Future[T] = Future()

        def errand() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(self._engine))
            except Exception as error:  # noqa: BLE001 - it belongs to the caller
                future.set_exception(error)

        with self._changed:
            self._errands.append(errand)
            self._changed.notify()
        return future

    def unload_idle(self) -> None:
        """Free the memory of weights that nobody has asked for lately and nothing is sampled from."""

        def unload(engine: Engine) -> None:
            self._touch()
            engine.unload_idle()

        self.call(unload)

    def close(self) -> None:
        """End what is under way, and wait for the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._wait_for_work():
            while self._errands:
                self._errands.popleft()()
            self._admit()
            for key in list(self._batches):
                self._step(key)
        for ticket in [*self._waiting, *self._running.values()]:
            ticket.give_up()
            ticket.listener.ended(Unavailable("The sampler is being stopped. Please try again."))

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._errands or self._waiting or self._batches)
            return not self._closed

    def _admit(self) -> None:
        """Begin requests in their order, up to the first that has to wait for room."""
        while self._waiting:
            ticket = self._waiting[0]
            if not ticket.is_given_up and not (self._prepared(ticket) and self._begin_parts(ticket)):
                return
            ticket.to_begin.clear()
            self._waiting.popleft()

    def _prepared(self, ticket: Ticket) -> bool:
        """Whether the request has its weights; False where others must be let go first. A request that is wrong has ended."""
        if ticket.generation is not None:
            return True
        if not self._has_place(ticket.key):
            return False
        try:
            batch = self._batches.get(ticket.key)
            if batch is None:
                self._touch()
                batch = Batch(self._engine.serve(*ticket.key))
            generation = Generation(batch.served, ticket.request)
            ticket.begin(generation, batch.served.weights)
        except Exception as error:  # noqa: BLE001 - one request must not end the thread that serves all
            ticket.give_up()
            ticket.listener.ended(_reported(error))
            return True
        self._batches[ticket.key] = batch
        self._running[generation] = ticket
        ticket.listener.begun(generation)
        return True

    def _begin_parts(self, ticket: Ticket) -> bool:
        """Whether all parts of a request are being sampled now."""
        while ticket.to_begin and not ticket.is_given_up:
            batch, part = self._batches[ticket.key], ticket.to_begin[0]
            others = sum(other.positions() for other in self._batches.values() if other is not batch)
            if any(other.parts for other in self._batches.values()) and others + batch.positions(part) > CACHED_POSITIONS:
                return False
            batch.add(ticket.to_begin.popleft())
        return True

    def _has_place(self, key: Key) -> bool:
        """Whether these weights fit beside those that are being sampled from."""
        base, manifest_key = key
        bases = {other for other, _ in self._batches} | {base}
        merged = {other for other in self._batches if other[1] is not None} | ({key} if manifest_key is not None else set())
        return len(bases) <= KEEP_BASES and len(merged) <= KEEP_MERGED

    def _touch(self) -> None:
        """Weights that are sampled from count as asked for just now: they are not to be loaded a second time."""
        for key in self._batches:
            self._engine.serve(*key)

    def _step(self, key: Key) -> None:
        batch = self._batches[key]
        try:
            for part, pieces in batch.step():
                ticket = self._running.get(part.generation)
                if pieces and ticket is not None and not ticket.is_given_up:
                    ticket.listener.pieces(pieces)
        except Exception as error:  # noqa: BLE001 - one batch must not end the thread that serves all
            self._fail(key, error)
            return
        for generation, ticket in list(self._running.items()):
            if generation.is_over:
                del self._running[generation]
                if not ticket.is_given_up:
                    ticket.listener.ended(None)
        if not batch.parts and not any(self._tickets_of(key)):
            del self._batches[key]

    def _fail(self, key: Key, error: Exception) -> None:
        """End everything that was sampled from these weights: the batch is in no known state."""
        for ticket in list(self._tickets_of(key)):
            if ticket.generation is not None:
                del self._running[ticket.generation]
            if not ticket.is_given_up:
                ticket.listener.ended(_reported(error))
            ticket.give_up()
        del self._batches[key]

    def _tickets_of(self, key: Key) -> Iterator[Ticket]:
        return (ticket for ticket in self._running.values() if ticket.key == key)


def _reported(error: Exception) -> RftError:
    """The error as the client may see it; what nobody expected goes to the log."""
    if isinstance(error, RftError):
        return error
    log.error("sampling failed", exc_info=error)
    return SamplingFailed("The sampler could not finish this request. The service's log tells why.")
