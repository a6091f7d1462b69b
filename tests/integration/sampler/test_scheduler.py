"""Many requests at once, on a scheduler in this process: who begins when, what one request does to another, and who is let go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import RftError
from core.models import ModelRegistry
from core.settings import Settings
from core.storage.build import open_store
from tests.integration.sampler.conftest import PROMPT, Sampler
from worker.sampler import scheduler as module
from worker.sampler.batch import Batch
from worker.sampler.engine import Engine
from worker.sampler.generation import Generation, Piece
from worker.sampler.request import parse
from worker.sampler.scheduler import Scheduler

PATIENCE_SECONDS = 60.0


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.generation: Generation | None = None
        self.made: list[Piece] = []
        self.error: RftError | None = None
        self.has_begun, self.has_pieces, self.is_over = threading.Event(), threading.Event(), threading.Event()

    def begun(self, generation: Generation) -> None:
        self.generation = generation
        self.has_begun.set()

    def pieces(self, made: list[Piece]) -> None:
        self.made += made
        self.has_pieces.set()

    def ended(self, error: RftError | None) -> None:
        self.error = error
        self.is_over.set()

    def texts(self) -> list[str]:
        """Each choice's text, once the request is over."""
        assert self.is_over.wait(PATIENCE_SECONDS)
        assert self.error is None
        count = max(piece.index for piece in self.made) + 1
        return ["".join(piece.text for piece in self.made if piece.index == index) for index in range(count)]


@pytest.fixture
def engine(settings: Settings) -> Engine:
    store = open_store(settings.object_store_url)
    return Engine(ModelRegistry.load(settings), store, merged_directory=settings.data_dir / "merged")


@pytest.fixture
def scheduler(engine: Engine) -> Iterator[Scheduler]:
    scheduler = Scheduler(engine)
    yield scheduler
    scheduler.close()


@pytest.fixture
def held(scheduler: Scheduler) -> Iterator[Callable[[], None]]:
    """A scheduler that does nothing until this is called: what is submitted meanwhile arrives at the same moment."""
    gate = threading.Event()
    scheduler.call(lambda _engine: gate.wait(PATIENCE_SECONDS))
    yield gate.set
    gate.set()


def ask(scheduler: Scheduler, **fields: Any) -> tuple[Any, Heard]:
    heard = Heard()
    target = {"base_model": fields.pop("base", "tiny"), "manifest_key": fields.pop("manifest_key", None)}
    body = {"model": "any", "messages": PROMPT, "max_tokens": 16, "temperature": 0.7, "touchstone": target, **fields}
    return scheduler.submit(parse(body), heard), heard


def test_requests_side_by_side_answer_as_each_alone(scheduler: Scheduler, held: Callable[[], None]) -> None:
    wishes: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 2, "n": 3, "max_tokens": 40},
        {"seed": 3, "temperature": 0},
        {"seed": 4, "messages": [{"role": "user", "content": "A much longer prompt than the others have. " * 4}]},
        {"seed": 5, "response_format": {"type": "json_object"}, "top_p": 0.9},
        {"seed": 6, "frequency_penalty": 1.5, "logit_bias": {"65": -100}},
    ]
    together = [ask(scheduler, **wish)[1] for wish in wishes]
    held()
    texts = [heard.texts() for heard in together]
    assert texts == [ask(scheduler, **wish)[1].texts() for wish in wishes]


def test_requests_that_end_one_by_one_all_end(scheduler: Scheduler, held: Callable[[], None]) -> None:
    lengths = range(1, 17)
    together = [ask(scheduler, seed=length, max_tokens=length, logit_bias={"258": -100})[1] for length in lengths]
    held()
    for heard, length in zip(together, lengths, strict=True):
        heard.texts()
        assert heard.generation is not None
        assert heard.generation.usage()["completion_tokens"] == length


def test_a_request_begins_while_a_longer_one_goes_on(scheduler: Scheduler) -> None:
    long_ticket, long = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    assert long.has_pieces.wait(PATIENCE_SECONDS)
    ask(scheduler, max_tokens=2)[1].texts()
    assert not long.is_over.is_set()
    long_ticket.give_up()


def test_weights_take_turns(scheduler: Scheduler, sampler: Sampler) -> None:
    long_ticket, long = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    assert long.has_pieces.wait(PATIENCE_SECONDS)
    ask(scheduler, max_tokens=2, manifest_key=sampler.manifest_key)[1].texts()
    assert not long.is_over.is_set()
    long_ticket.give_up()


def test_another_base_model_waits_until_the_first_is_let_go(scheduler: Scheduler) -> None:
    ticket, long = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    _, other = ask(scheduler, max_tokens=2, base="short")
    assert long.has_pieces.wait(PATIENCE_SECONDS)
    assert not other.has_begun.is_set()
    ticket.give_up()
    assert len(other.texts()) == 1


def test_a_request_given_up_is_sampled_no_further(scheduler: Scheduler) -> None:
    ticket, heard = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    assert heard.has_pieces.wait(PATIENCE_SECONDS)
    ticket.give_up()
    ask(scheduler, max_tokens=2)[1].texts()
    assert heard.generation is not None
    assert heard.generation.usage()["completion_tokens"] < 440
    assert not heard.is_over.is_set()


def test_a_request_given_up_before_its_turn_never_begins(scheduler: Scheduler, held: Callable[[], None]) -> None:
    ticket, heard = ask(scheduler)
    ticket.give_up()
    held()
    ask(scheduler)[1].texts()
    assert not heard.has_begun.is_set()


def test_choices_for_which_there_is_no_room_follow(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ask(scheduler, seed=1, n=5)[1].texts()
    monkeypatch.setattr(module, "CACHED_POSITIONS", 120)
    assert ask(scheduler, seed=1, n=5)[1].texts() == whole


def test_a_request_given_up_in_the_middle_of_its_choices_makes_room(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHED_POSITIONS", 1)
    ticket, heard = ask(scheduler, n=5, max_tokens=450, logit_bias={"258": -100})
    assert heard.has_pieces.wait(PATIENCE_SECONDS)
    ticket.give_up()
    assert len(ask(scheduler)[1].texts()) == 1


def test_a_wrong_request_leaves_the_others_alone(scheduler: Scheduler, held: Callable[[], None]) -> None:
    _, good = ask(scheduler)
    _, wrong = ask(scheduler, messages=[{"role": "user", "content": "sea " * 200}])
    held()
    assert good.texts()
    assert wrong.is_over.wait(PATIENCE_SECONDS)
    assert wrong.error is not None
    assert wrong.error.code == "context_length_exceeded"


def test_a_failure_of_the_device_ends_its_requests_and_not_the_service(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_batch: Batch) -> None:
        raise RuntimeError("the device is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "step", fail)
        _, heard = ask(scheduler)
        assert heard.is_over.wait(PATIENCE_SECONDS)
    assert heard.error is not None
    assert heard.error.code == "sampler_error"
    assert "the device is gone" in caplog.text
    assert ask(scheduler)[1].texts()


def test_closing_ends_what_is_under_way(engine: Engine) -> None:
    scheduler = Scheduler(engine)
    _, heard = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    assert heard.has_begun.wait(PATIENCE_SECONDS)
    scheduler.close()
    assert heard.error is not None
    assert heard.error.status == 503


def test_weights_in_use_are_not_loaded_a_second_time(
    scheduler: Scheduler, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.sampler.engine.IDLE_SECONDS", -1.0)
    ticket, heard = ask(scheduler, max_tokens=450, logit_bias={"258": -100})
    assert heard.has_pieces.wait(PATIENCE_SECONDS)
    assert heard.generation is not None
    in_use = heard.generation.served.weights
    monkeypatch.setattr("worker.sampler.engine.IDLE_SECONDS", 600.0)
    scheduler.unload_idle()
    _, other = ask(scheduler, max_tokens=2)
    other.texts()
    assert other.generation is not None
    assert other.generation.served.weights is in_use
    ticket.give_up()
