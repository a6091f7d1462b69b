"""A `vllm serve` elsewhere, as its HTTP interface shows it: adapters in and out, token ids in, tokens with log-probabilities out.

The server has to run with `--enable-lora`, VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and one API process. Needs no vLLM here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from core.errors import JobFailure
from core.models import VllmServer
from core.settings import variable
from worker.rollout.base import EngineLost

T = TypeVar("T")
Json = dict[str, Any]

_CONNECT_SECONDS = 10.0
_TOKENS_DONE = re.compile(r"^vllm:(?:prompt|generation)_tokens_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)
_ERROR_CHARACTERS = 500


class ServerRefused(JobFailure):
    """The server understood a request, and does not do it."""

    code = "engine_refused"


class EngineSilent(EngineLost):
    """The server is there, and gets on with nothing."""


class AdapterMissing(EngineLost):
    """The server does not know an adapter that it was given: it was started again."""


@dataclass(frozen=True)
class ServedModels:
    """What a server serves: its base model, and adapters by name."""

    base: str
    adapters: tuple[str, ...]
    max_model_len: int


class VllmHttp:
    """Client of one server, in one event loop.

    Raises `EngineLost` where the server is away or silent, `ServerRefused` where it refuses.
    """

    def __init__(self, server: VllmServer, patience_seconds: float, socket: Path | None = None) -> None:
        """`socket` is where a server of this machine listens, in place of the URL's host."""
        key = variable(server.api_key_env) if server.api_key_env else None
        self._patience = patience_seconds
        self._http = httpx2.AsyncClient(
            base_url=server.url.rstrip("/"),
            headers={"authorization": f"Bearer {key}"} if key else {},
            # How long an answer takes is its own affair; `watched` sees to servers that fall silent.
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
            transport=httpx2.AsyncHTTPTransport(
                uds=None if socket is None else str(socket), limits=httpx2.Limits(max_connections=None), trust_env=False
            ),
            trust_env=False,
        )

    async def __aenter__(self) -> VllmHttp:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def models(self) -> ServedModels:
        """What is served now."""
        entries = (await self._json("GET", "/v1/models"))["data"]
        (base, *_) = [entry for entry in entries if not entry.get("parent")]
        adapters = tuple(entry["id"] for entry in entries if entry.get("parent"))
        return ServedModels(base["id"], adapters, int(base["max_model_len"]))

    async def load_adapter(self, name: str, directory: Path) -> None:
        """Serve the adapter in this directory, which the server sees under the same path."""
        await self._answer("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(directory)})

    async def unload_adapter(self, name: str) -> None:
        """Serve it no longer; nothing where it is not served."""
        with suppress(AdapterMissing):
            await self._answer("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def complete(self, body: Json) -> Json:
        """The one choice of `POST /v1/completions`. Cancelled, the connection is closed, and the server stops sampling."""
        (choice,) = (await self._json("POST", "/v1/completions", {**body, "return_token_ids": True}))["choices"]
        if choice["finish_reason"] not in ("stop", "length"):
            raise EngineLost("The model's vLLM server ended a request before its time.")
        return dict(choice)

    async def stream(self, body: Json) -> AsyncGenerator[Json]:
        """The chunks of a streamed completion, as they come."""
        wanted = {**body, "return_token_ids": True, "stream": True}
        try:
            async with self._http.stream("POST", "/v1/completions", json=wanted) as answer:
                if answer.is_error:
                    await answer.aread()
                    self._raise_for(answer)
                async for line in answer.aiter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield json.loads(line.removeprefix("data: "))
        except httpx2.TransportError as error:
            raise self._lost(error) from error

    async def watched(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, as long as the server gets on with anything meanwhile."""
        task = asyncio.ensure_future(work)
        done_before: str | None = None
        try:
            while not (await asyncio.wait({task}, timeout=self._patience))[0]:
                done = await self._tokens_done()
                if done is not None and done == done_before:
                    raise EngineSilent(f"The model's vLLM server has sampled nothing for {self._patience:g} seconds.")
                done_before = done
            return task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def is_well(self) -> bool:
        """Whether the server answers, and says that its engine is alive."""
        with suppress(EngineLost):
            await self._answer("GET", "/health", seconds=self._patience)
            return True
        return False

    async def wait_until_there(self, seconds: float) -> None:
        """Until the server answers; raises `EngineLost` when it has not by then."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.is_well():
                    await asyncio.sleep(min(1.0, self._patience / 10))
        except TimeoutError:
            raise EngineLost(f"The model's vLLM server has not been there for {seconds:g} seconds.") from None

    async def _tokens_done(self) -> str | None:
        """The server's counters of tokens, which move while it works; None where it keeps none. Itself a sign of life."""
        answer = await self._answer("GET", "/metrics", seconds=self._patience)
        return " ".join(_TOKENS_DONE.findall(answer.text)) or None

    async def _json(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = await self._answer(method, path, body)
        try:
            value = answer.json()
        except ValueError as error:
            raise ServerRefused(f"What answers {path} in the place of the model's vLLM server is none.") from error
        return dict(value)

    async def _answer(self, method: str, path: str, body: Json | None = None, seconds: float | None = None) -> httpx2.Response:
        timeout = httpx2.USE_CLIENT_DEFAULT if seconds is None else httpx2.Timeout(seconds)
        try:
            answer = await self._http.request(method, path, json=body, timeout=timeout)
        except httpx2.TransportError as error:
            raise self._lost(error) from error
        if not answer.is_success:
            self._raise_for(answer)
        return answer

    def _lost(self, error: Exception) -> EngineLost:
        return EngineLost(f"The model's vLLM server cannot be reached, or has hung up: {type(error).__name__} {error}".strip())

    def _raise_for(self, answer: httpx2.Response) -> None:
        text, path = answer.text[:_ERROR_CHARACTERS], answer.request.url.path
        if (
            answer.status_code >= 500 and path != "/v1/load_lora_adapter"
        ):  # how it refuses adapters, of too high a rank among them
            raise EngineLost(f"The model's vLLM server failed ({answer.status_code}): {text}")
        if answer.status_code == 404 and path == "/v1/load_lora_adapter":
            raise ServerRefused(
                "The model's vLLM server takes no adapters at run time, or does not find this one: start it with "
                "--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and let both sides see adapter_dir under one path. "
                f"It says: {text}"
            )
        if answer.status_code == 404 and path in ("/v1/completions", "/v1/unload_lora_adapter"):
            raise AdapterMissing(f"The model's vLLM server has lost the adapter that it was given: {text}")
        raise ServerRefused(f"The model's vLLM server refuses {path} ({answer.status_code}): {text}")
