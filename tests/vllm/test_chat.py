"""Chat completions of a base model and many adapters by vLLM: on a server elsewhere, and on one of the sampler's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import peft
import psutil
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.settings import Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.build import open_store
from tests.integration.sampler.conftest import PROMPT, connect, environment
from worker.policy.lora import Adapter
from worker.policy.model import load_model

from .serving import Serving

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(580)]

TOKENS = 16


@dataclass(frozen=True)
class Chat:
    """A sampler, and the keys of four adapters in its object store; the last has too high a rank for the server elsewhere."""

    http: httpx2.Client
    process: subprocess.Popen[bytes]
    directory: Path
    keys: tuple[str, ...]

    def body(self, key: str | None = None, base: str = "elsewhere", **fields: Any) -> dict[str, Any]:
        target = {"base_model": base, "manifest_key": key}
        return {"model": "any", "messages": PROMPT, "max_tokens": TOKENS, "temperature": 0, "touchstone": target, **fields}

    def ask(self, key: str | None = None, status: int = 200, **fields: Any) -> Any:
        reply = self.http.post("/v1/chat/completions", json=self.body(key, **fields))
        assert reply.status_code == status, reply.text
        return reply.json()

    def text(self, key: str | None = None, **fields: Any) -> str:
        return str(self.ask(key, **fields)["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def chat(directory: Path, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    place = tmp_path_factory.mktemp("chat")
    elsewhere = {"source": str(directory), "engine": "vllm", "url": serving.url, "adapter_dir": str(serving.adapters)}
    models = place / "models.yaml"
    models.write_text(yaml.safe_dump({"models": {"elsewhere": elsewhere, "own": {"source": str(directory), "engine": "vllm"}}}))
    settings = Settings(data_dir=place / "data", models=models, threads=1, vllm_eager=True)
    store = open_store(settings.object_store_url)
    adapters = [adapter(directory, place, i, rank) for i, rank in enumerate((4, 4, 4, 16))]
    keys = [manifest.write(store, ObjectKey.of("proj_default", made.name), made, {}) for made in adapters]
    socket = place / "socket"
    command = [sys.executable, "-m", "worker.sampler", "--socket", str(socket), "--follow-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment(settings)) as process:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.1)
        with connect(socket) as http:
            http.timeout = 500
            yield Chat(http, process, place, tuple(map(str, keys)))
        process.terminate()
    for name in serving.served():  # one that was killed leaves what it has given the server
        serving.unload(name)
    for given in serving.adapters.iterdir():
        shutil.rmtree(given)


def adapter(model: Path, place: Path, seed: int, rank: int) -> Path:
    """An adapter that changes what the model says."""
    weights, generator = load_model(model).weights, torch.Generator().manual_seed(seed)
    fresh = Adapter.fresh(weights, rank, 8.0, generator)
    for layer in fresh.layers:
        for linear in layer.values():
            for part in linear.b:
                part.copy_(torch.randn(part.shape, generator=generator) * 0.2)
    fresh.write(place / f"adapter-{seed}", "tiny")
    return place / f"adapter-{seed}"


def greedy(model: Path, adapter: Path | None) -> str:
    """The same answer by transformers and peft."""
    network = AutoModelForCausalLM.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    if adapter is not None:
        network = peft.PeftModel.from_pretrained(network, adapter)
    rendered = tokenizer.apply_chat_template(PROMPT, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = network.generate(**rendered, do_sample=False, max_new_tokens=TOKENS)
    return str(tokenizer.decode(out[0, rendered["input_ids"].shape[1] :], skip_special_tokens=True))


def test_base_and_adapters_answer_side_by_side_as_peft_has_them(chat: Chat, directory: Path) -> None:
    keys = [None, *chat.keys[:3]]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(chat.text, keys * 2))
    expected = [greedy(directory, None), *(greedy(directory, chat.directory / f"adapter-{i}") for i in range(3))]
    assert answers == expected * 2
    assert len(set(expected)) == 4


def test_what_the_server_does_not_take_is_answered_by_the_torch_backend(chat: Chat, directory: Path, serving: Serving) -> None:
    before = serving.served()
    assert chat.text(chat.keys[3]) == greedy(directory, chat.directory / "adapter-3")
    assert serving.served() == before


def test_a_stream_says_what_the_whole_reply_says(chat: Chat) -> None:
    body = chat.body(chat.keys[0], stream=True, n=2, temperature=1, seed=3, stream_options={"include_usage": True})
    with chat.http.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    whole = chat.ask(chat.keys[0], n=2, temperature=1, seed=3)
    for choice in whole["choices"]:
        deltas = [part["delta"] for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == choice["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_a_stop_string_ends_the_answer_before_it(chat: Chat) -> None:
    whole = chat.text()
    stop = whole[4:6]
    reply = chat.ask(stop=[stop])["choices"][0]
    assert reply["message"]["content"] == whole[: whole.index(stop)]
    assert reply["finish_reason"] == "stop"


def test_tokens_have_their_log_probabilities_and_the_likeliest_others(chat: Chat) -> None:
    content = chat.ask(temperature=1, seed=1, logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
    assert content
    for entry in content:
        others = [other["logprob"] for other in entry["top_logprobs"]]
        assert len(others) == 3
        assert others == sorted(others, reverse=True)
        assert entry["logprob"] <= others[0]


def test_a_format_is_followed(chat: Chat) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    answer = json.loads(chat.text(chat.keys[1], response_format=wanted, temperature=1, seed=2, max_tokens=40))
    assert isinstance(answer["ok"], bool)


def test_a_prompt_that_leaves_no_room_is_refused_before_the_server_hears_of_it(chat: Chat) -> None:
    error = chat.ask(messages=[{"role": "user", "content": "x" * 600}], status=400)["error"]
    assert error["code"] == "context_length_exceeded"


def test_an_adapter_that_the_server_has_lost_is_given_to_it_again(chat: Chat, serving: Serving) -> None:
    before = chat.text(chat.keys[2])
    for name in serving.served():
        serving.unload(name)
    assert chat.text(chat.keys[2]) == before


def test_an_answer_that_nobody_waits_for_is_sampled_no_further(chat: Chat, serving: Serving) -> None:
    body = chat.body(stream=True, max_tokens=400, logit_bias={"258": -100}, n=4)
    with chat.http.stream("POST", "/v1/chat/completions", json=body) as reply:
        next(reply.iter_lines())
    give_up = time.monotonic() + 60
    while serving.running():
        assert time.monotonic() < give_up


def test_a_server_of_the_samplers_own_answers_and_ends_with_it(chat: Chat, directory: Path) -> None:
    """The last test of the module: the sampler does not outlive it."""
    assert chat.text(chat.keys[0], base="own") == greedy(directory, chat.directory / "adapter-0")
    below = psutil.Process(chat.process.pid).children(recursive=True)
    assert len(below) >= 2
    chat.process.kill()
    _, alive = psutil.wait_procs(below, timeout=60)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
