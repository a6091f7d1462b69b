"""Chat completions by vLLM: a server for each base model, our own or one elsewhere, given the adapters of tuned models on demand.

Text, stop strings, reasoning and tools are made of the server's tokens as they are of our own (`generation.py`). What vLLM does
not take, such as checkpoints of full fine-tuning, is left to the `torch` backend.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from functools import cache
from typing import Any

from transformers import AutoConfig

from core.errors import RftError, Unavailable
from core.models import BaseModel, VllmServer
from core.settings import Settings
from core.storage import manifest
from core.storage.base import ObjectKey, ObjectStore
from worker.policy.chat import ChatTokenizer
from worker.rollout.base import EngineLost
from worker.rollout.vllm_http import AdapterMissing, EngineSilent, ServerRefused, VllmHttp
from worker.sampler.empty_adapter import write_empty_adapter
from worker.sampler.engine import IDLE_SECONDS, Served
from worker.sampler.generation import Choice, Generation, Ranked
from worker.sampler.request import ChatRequest
from worker.sampler.scheduler import Listener, SamplingFailed
from worker.sampler.vllm_server import OwnServer

log = logging.getLogger(__name__)

Json = dict[str, Any]

KEEP_ADAPTERS = 64
"""Adapters that a server is given at a time; the one used longest ago makes room."""
_TOKEN = "token_id:"  # noqa: S105  how the server spells tokens when it is asked for their ids
_SEEDS = 2**63


class NotForVllm(Exception):
    """The weights asked for are nothing that the server takes."""


class VllmBase:
    """One base model's server, and the adapters that it has been given. Belongs to one event loop."""

    def __init__(self, base: BaseModel, store: ObjectStore, settings: Settings) -> None:
        self._base, self._store, self._settings = base, store, settings
        self._changing = asyncio.Lock()
        self._open = AsyncExitStack()
        self._http: VllmHttp | None = None
        self._own: OwnServer | None = None
        self._served: Served | None = None
        self._adapters: OrderedDict[str | None, str] = OrderedDict()
        """Names on the server by manifest; the base model is one of them, see `empty_adapter.py`."""
        self._tasks: set[asyncio.Task[str]] = set()
        self._in_use, self._used_at = 0, time.monotonic()

    async def answer(self, request: ChatRequest, listener: Listener) -> None:
        """Sample a request; the listener hears all but its end. Raises `NotForVllm`, before it hears anything."""
        self._in_use += 1
        try:
            model = await self._ready(request.touchstone.manifest_key)
            assert self._served is not None
            generation = await asyncio.to_thread(Generation, self._served, request)
            listener.begun(generation)
            await self._sample_all(generation, model, listener)
        except EngineLost as error:
            log.warning("%s", error.message)
            if isinstance(error, EngineSilent) or self._http is None or not await self._http.is_well():
                await self._let_go()
            raise Unavailable("The model's server was lost while it answered. Please try again.") from error
        finally:
            self._in_use -= 1
            self._used_at = time.monotonic()

    async def unload_idle(self) -> None:
        """End a server of our own that nobody has asked for lately."""
        if self._own is not None and not self._in_use and time.monotonic() - self._used_at > IDLE_SECONDS:
            await self._let_go()

    async def close(self) -> None:
        """Take back what the server was given, and end it if it is ours."""
        if self._own is None and self._http is not None:
            for key in list(self._adapters):
                await self._drop(key)
        await self._let_go()

    async def _model_for(self, manifest_key: str | None) -> str:
        """The name by which the server knows these weights, once it does."""
        async with self._changing:
            if self._own is not None and not self._own.is_running:
                await self._let_go()
            http = self._http or await self._connect()
            if manifest_key not in self._adapters:
                while len(self._adapters) >= KEEP_ADAPTERS:
                    await self._drop(next(iter(self._adapters)))
                self._adapters[manifest_key] = await self._load(http, manifest_key)
            self._adapters.move_to_end(manifest_key)
            return self._adapters[manifest_key]

    async def _ready(self, manifest_key: str | None) -> str:
        """The same for a request that may be given up: what was begun for it is brought to its end, for the next one."""
        task = asyncio.ensure_future(self._model_for(manifest_key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _connect(self) -> VllmHttp:
        """Begin with a server: find the one elsewhere, or start our own."""
        patience = self._settings.vllm_patience_seconds
        config = await asyncio.to_thread(AutoConfig.from_pretrained, self._base.directory)
        max_len = min(config.max_position_embeddings, self._base.max_model_len or config.max_position_embeddings)
        server, socket = self._base.server, None
        if server is None:
            self._own = OwnServer(self._base, self._settings, max_len)
            await self._own.start()
            server, socket = VllmServer("http://vllm", self._own.directory), self._own.socket
        try:
            http = await self._open.enter_async_context(VllmHttp(server, patience, socket))
            if self._own is not None:
                await self._own.wait_until_ready(http)
            else:
                await http.wait_until_there(patience)
            served = await http.models()
        except RftError:
            await self._let_go()
            raise
        self._directory, self._config = server.adapter_dir, config
        tokenizer = await asyncio.to_thread(ChatTokenizer, self._base.directory)
        vocab = int(config.vocab_size)
        self._served = Served(tokenizer, min(max_len, served.max_model_len), vocab, cache(lambda: tokenizer.guides(vocab)))
        self._http = http
        return http

    async def _load(self, http: VllmHttp, manifest_key: str | None) -> str:
        name = "rft-chat-" + hashlib.sha256((manifest_key or self._base.id).encode()).hexdigest()[:24]
        directory = self._directory / name
        if manifest_key is None:
            await asyncio.to_thread(write_empty_adapter, directory, self._config, self._base.id)
        elif not directory.exists():
            await asyncio.to_thread(manifest.fetch, self._store, ObjectKey.parse(manifest_key), directory)
        if not (directory / "adapter_config.json").is_file():
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            raise NotForVllm("no adapter")
        if name not in (await http.models()).adapters:
            try:
                await http.load_adapter(name, directory)
            except ServerRefused as error:
                raise NotForVllm(error.message) from error
        return name

    async def _drop(self, manifest_key: str | None) -> None:
        name = self._adapters.pop(manifest_key)
        if self._http is not None:
            try:
                await self._http.unload_adapter(name)
            except RftError as error:
                log.warning("%s", error.message)
        await asyncio.to_thread(shutil.rmtree, self._directory / name, ignore_errors=True)

    async def _let_go(self) -> None:
        """Forget the server; the next request finds it, or starts another."""
        self._http = None
        self._adapters.clear()
        await self._open.aclose()
        self._open = AsyncExitStack()
        if self._own is not None:
            await self._own.stop()
            self._own = None

    async def _sample_all(self, generation: Generation, model: str, listener: Listener) -> None:
        async def sample(index: int) -> None:
            try:
                await self._sample(generation, index, model, listener)
            except AdapterMissing:  # the server was started again, or another sampler has taken the adapter back
                manifest_key = generation.request.touchstone.manifest_key
                self._adapters.pop(manifest_key, None)
                again = await self._ready(manifest_key)
                await self._sample(generation, index, again, listener)

        assert self._http is not None
        try:
            async with asyncio.TaskGroup() as tasks:
                for index in range(len(generation.choices)):
                    tasks.create_task(sample(index))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _sample(self, generation: Generation, index: int, model: str, listener: Listener) -> None:
        """One choice. A stop string ends it here, and with the connection at the server."""
        assert self._http is not None
        http, choice = self._http, generation.choices[index]

        async def listen() -> None:
            async with aclosing(http.stream(_body(generation, index, model))) as chunks:
                async for chunk in chunks:
                    pieces = [choice.push(token, logprob, ranked) for token, logprob, ranked in _tokens(chunk, choice)]
                    listener.pieces(pieces)
                    if choice.finish_reason:
                        return
            raise SamplingFailed("The model's server ended an answer before its time.")

        await http.watched(listen())


def _body(generation: Generation, index: int, model: str) -> Json:
    """What the server is asked for one choice."""
    request, held_to = generation.request, generation.format
    return {
        "model": model,
        "prompt": list(generation.prompt),
        "max_tokens": generation.max_tokens,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "frequency_penalty": request.frequency_penalty or 0.0,
        "presence_penalty": request.presence_penalty or 0.0,
        "logit_bias": {str(token): bias for token, bias in (request.logit_bias or {}).items()} or None,
        "seed": generation.seeds[index] % _SEEDS,
        "stop_token_ids": sorted(generation.served.tokenizer.stop_ids),
        "ignore_eos": True,
        "logprobs": (request.top_logprobs or 0) if request.logprobs else None,
        "return_tokens_as_token_ids": True,
        **({} if held_to is None else {"structured_outputs": {"json": held_to.steered_schema}}),
    }


def _tokens(chunk: Json, choice: Choice) -> Iterator[tuple[int, float, Ranked]]:
    """The tokens of a chunk with their log-probabilities and the likeliest others, until the choice has ended."""
    for part in chunk["choices"]:
        told = part.get("logprobs")
        for place, token in enumerate(part.get("token_ids") or ()):
            if choice.finish_reason:
                return
            logprob = told["token_logprobs"][place] if told else 0.0
            ranked = _ranked(told["top_logprobs"][place]) if told and told["top_logprobs"] else ()
            yield token, logprob, ranked[: choice.top_logprobs]


def _ranked(logprobs: dict[str, float] | None) -> list[tuple[int, float]]:
    pairs = [(int(token.removeprefix(_TOKEN)), logprob) for token, logprob in (logprobs or {}).items()]
    return sorted(pairs, key=lambda pair: -pair[1])
