"""The client of the sampler: OpenAI-shaped HTTP, to a process that is started when it is first needed or to one of its own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.concurrency import run_in_threadpool

from core.errors import InvalidRequest, NotFound, RftError, StorageFull, TooLarge, Unavailable
from core.sampler import Address, SamplerServer, reach
from core.telemetry.context import current

Json = dict[str, Any]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
RECONNECT_SECONDS = 0.5
COMPLETION_SECONDS = 600.0
"""As long as OpenAI's client waits by default."""
_DATA = "data: "
_DONE = "[DONE]"


class SamplerFailed(RftError):
    """The sampler could not finish, for a reason that is not the client's."""

    code = "sampler_error"
    type = "server_error"


_KINDS: dict[int, type[RftError]] = {kind.status: kind for kind in (InvalidRequest, NotFound, TooLarge, Unavailable, StorageFull)}


@dataclass(frozen=True)
class Download:
    """A file on its way from the sampler. `close` it, whether or not it was read."""

    size: int
    """Bytes."""
    pieces: AsyncIterator[bytes]
    _stack: AsyncExitStack

    async def close(self) -> None:
        """Let go of the connection."""
        await self._stack.aclose()


class SamplerClient:
    """A `core.model_client.ModelClient` to this service's own sampler. Belongs to one event loop."""

    def __init__(self, server: SamplerServer) -> None:
        self._server = server
        self._address: Address | None = None
        self._http = httpx2.AsyncClient()

    async def chat(self, body: Json) -> Json:
        """The chat completion for OpenAI's request body."""
        return await self._post("/v1/chat/completions", body)

    async def stream(self, body: Json) -> AsyncGenerator[Json]:
        """The chunks of a streamed chat completion."""
        async with self._reply("/v1/chat/completions", body) as response:
            async for line in response.aiter_lines():
                text = line.removeprefix(_DATA).strip() if line.startswith(_DATA) else ""
                if text == _DONE:
                    return
                if text:
                    yield _chunk(text)
        raise Unavailable("The sampler broke off in the middle of its answer.")

    async def merged(self, base_model: str, manifest_key: str) -> Download:
        """The whole model as a tar, the adapter merged into the base."""
        stack = AsyncExitStack()
        body = {"base_model": base_model, "manifest_key": manifest_key}
        response = await stack.enter_async_context(self._reply("/internal/merge", body))
        return Download(int(response.headers["content-length"]), _pieces(response, stack), stack)

    async def close(self) -> None:
        """Close the connections, and end the process where it is our own."""
        await self._http.aclose()
        await run_in_threadpool(self._server.close)

    async def _post(self, path: str, body: Json) -> Json:
        async with self._reply(path, body) as response:
            reply: Json = json.loads(await response.aread())
        return reply

    @asynccontextmanager
    async def _reply(self, path: str, body: Json) -> AsyncIterator[httpx2.Response]:
        """A good reply whose body is still to be read; an error of the sampler or of the way to it is raised."""
        try:
            response = await self._send(path, body)
            try:
                if response.is_error:
                    await response.aread()
                    raise _error(response)
                yield response
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise Unavailable("The sampler does not answer at the moment. Please try again.") from error

    async def _send(self, path: str, body: Json) -> httpx2.Response:
        http = await self._client()
        try:
            return await http.send(http.build_request("POST", path, json=body, headers=_request_id()), stream=True)
        except httpx2.NetworkError:
            # It died a moment ago with the request unread, and is not known to be dead yet.
            await asyncio.sleep(RECONNECT_SECONDS)
            http = await self._client()
            return await http.send(http.build_request("POST", path, json=body, headers=_request_id()), stream=True)

    async def _client(self) -> httpx2.AsyncClient:
        """A client of the sampler. Raises `Unavailable` where it cannot be started."""
        try:
            address = await run_in_threadpool(reach, self._server)
        except Unavailable as error:
            # The process's last words are for the operator.
            log.error("the sampler cannot be had: %s", error.message)
            raise Unavailable("The sampler could not be started. The service's log tells why.") from None
        if address != self._address:
            await self._reconnect(address)
        return self._http

    async def _reconnect(self, address: Address) -> None:
        old, self._address = self._http, address
        # A connection left open by a sampler that has died looks alive for a moment; a new one costs next to nothing.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        uds = None if address.socket is None else str(address.socket)
        transport = httpx2.AsyncHTTPTransport(uds=uds, limits=limits)
        timeout = httpx2.Timeout(COMPLETION_SECONDS, connect=CONNECT_SECONDS)
        self._http = httpx2.AsyncClient(
            base_url=address.url, headers=dict(address.headers), transport=transport, timeout=timeout, trust_env=False
        )
        await old.aclose()


async def _pieces(response: httpx2.Response, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for piece in response.aiter_raw():
            yield piece


def _request_id() -> dict[str, str]:
    """The id of the request that is answered, under which the sampler's log names it too."""
    found = current().get("request_id")
    return {} if found is None else {"x-request-id": str(found)}


def _error(response: httpx2.Response) -> RftError:
    """The sampler's own error, passed on with its status."""
    try:
        return _passed_on(response.status_code, response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return SamplerFailed(f"The sampler answered with status {response.status_code}.")


def _passed_on(status: int, error: Json) -> RftError:
    kind = _KINDS.get(status, SamplerFailed)
    return kind(str(error["message"]), param=error.get("param"), code=error.get("code"))


def _chunk(text: str) -> Json:
    chunk: Json = json.loads(text)
    if "error" in chunk:
        raise _passed_on(500, chunk["error"])
    return chunk
