"""A job's rollouts shared out among several vLLM servers, which are scripted here; `tests/vllm` has real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

from core.models import VllmServer
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.shared_out import SharedOut
from worker.rollout.vllm_remote import RemoteVllmEngine

GROUPS = [PromptGroup((i,), (10 * i, 10 * i + 1)) for i in range(1, 6)]


class Scripted(ThreadingHTTPServer):
    """Answers as `vllm serve` does, with tokens that depend on the seed alone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.adapters: list[str] = []
        self.seeds: list[int] = []
        self.hang_up_at: int | None = None
        """This seed is not answered, once, and the adapters are forgotten with it."""
        self.lock = Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        base = {"id": "tiny", "max_model_len": 513}
        adapters = [{"id": name, "parent": "tiny", "max_model_len": 513} for name in self.server.adapters]
        self._answer(200, {"data": [base, *adapters]} if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            if self.path == "/v1/load_lora_adapter":
                self.server.adapters.append(body["lora_name"])
                self._answer(200, {})
            elif self.path == "/v1/unload_lora_adapter":
                self.server.adapters.remove(body["lora_name"])
                self._answer(200, {})
            elif body["seed"] == self.server.hang_up_at:
                self.server.hang_up_at = None
                self.server.adapters.clear()
                self.close_connection = True
            elif body["model"] not in self.server.adapters:
                self._answer(404, {})
            else:
                self.server.seeds.append(body["seed"])
                logprobs = {"token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}]}
                self._answer(200, {"choices": [{"finish_reason": "stop", "token_ids": [body["seed"]], "logprobs": logprobs}]})

    def _answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def running(server: Scripted) -> Iterator[Scripted]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Weights:
    """Of no interest to servers that are scripted."""

    def save_checkpoint(self, directory: Path) -> None:
        directory.mkdir()


@pytest.fixture
def servers() -> Iterator[list[Scripted]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running(Scripted())) for _ in range(2)]


@pytest.fixture
def restarts() -> list[str]:
    return []


@pytest.fixture
def engine(servers: list[Scripted], restarts: list[str], tmp_path: Path) -> Iterator[SharedOut]:
    given: dict[str, Any] = {"max_len": 512, "patience_seconds": 5.0, "restarted": restarts.append}
    shared = SharedOut(
        [
            RemoteVllmEngine(VllmServer(server.url, tmp_path), "ftjob-1", Weights(), {0}, number=number, **given)
            for number, server in enumerate(servers, 1)
        ]
    )
    for server in servers:
        server.seeds.clear()  # of finding out what the servers can do
    yield shared
    shared.close()


def drawn(engine: SharedOut) -> list[list[tuple[int, ...]]]:
    return [[completion.tokens_T for completion in group] for group in engine.generate(GROUPS, SamplingParams(8))]


def test_groups_are_shared_out_and_every_sample_is_its_seeds(engine: SharedOut, servers: list[Scripted]) -> None:
    assert drawn(engine) == [[(seed,) for seed in group.seeds_G] for group in GROUPS]
    assert [sorted(server.seeds) for server in servers] == [[10, 11, 30, 31, 50, 51], [20, 21, 40, 41]]


def test_every_server_has_an_adapter_of_its_own_and_a_new_one_after_a_sync(
    engine: SharedOut, servers: list[Scripted], tmp_path: Path
) -> None:
    before = [server.adapters[:] for server in servers]
    engine.sync()
    after = [server.adapters for server in servers]
    assert [len(adapters) for adapters in after] == [1, 1]
    assert len({*before[0], *before[1], *after[0], *after[1]}) == 4
    assert {path.name for path in tmp_path.iterdir()} == {*after[0], *after[1]}


def test_a_server_that_is_lost_is_found_again_and_the_others_do_nothing_twice(
    engine: SharedOut, servers: list[Scripted], restarts: list[str]
) -> None:
    servers[1].hang_up_at = 40
    assert drawn(engine) == [[(seed,) for seed in group.seeds_G] for group in GROUPS]
    assert sorted(servers[0].seeds) == [10, 11, 30, 31, 50, 51]
    assert set(servers[1].seeds) == {20, 21, 40, 41}
    assert len(restarts) == 1
