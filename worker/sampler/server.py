"""The sampler's HTTP interface. The scheduler's thread loads, merges and samples; the event loop only talks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel as Schema
from pydantic import StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.errors import InvalidRequest, RftError
from core.tar import archive, archive_size, directory_members
from worker.sampler.backends import GiveUp, VllmBackend, VllmTicket
from worker.sampler.chat import Chunks, response
from worker.sampler.engine import Engine
from worker.sampler.generation import Generation, Piece
from worker.sampler.request import ChatRequest, parse
from worker.sampler.scheduler import Listener, Scheduler

Json = dict[str, Any]

_UNLOAD_EVERY_SECONDS = 30.0
_CLIENT_CLOSED_REQUEST = 499


class MergeRequest(Schema):
    """What to write as a merged model."""

    base_model: str
    manifest_key: Annotated[str, StringConstraints(min_length=1)]


class Sampling:
    """A request that the scheduler has in hand, as the event loop sees it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._generation: asyncio.Future[Generation] = self._loop.create_future()
        self._made: asyncio.Queue[list[Piece] | RftError | None] = asyncio.Queue()

    def begun(self, generation: Generation) -> None:
        """See `Listener.begun`."""
        self._loop.call_soon_threadsafe(self._begin, generation)

    def pieces(self, made: list[Piece]) -> None:
        """See `Listener.pieces`."""
        self._loop.call_soon_threadsafe(self._made.put_nowait, made)

    def ended(self, error: RftError | None) -> None:
        """See `Listener.ended`."""
        self._loop.call_soon_threadsafe(self._end, error)

    async def generation(self) -> Generation:
        """The request, once it is being sampled; raises what is wrong with it."""
        return await self._generation

    async def all_pieces(self) -> AsyncGenerator[Piece]:
        """Pieces as they are made; raises what stops them."""
        while (made := await self._made.get()) is not None:
            if isinstance(made, RftError):
                raise made
            for piece in made:
                yield piece

    def _begin(self, generation: Generation) -> None:
        if not self._generation.done():
            self._generation.set_result(generation)

    def _end(self, error: RftError | None) -> None:
        if error is not None and not self._generation.done():
            self._generation.set_exception(error)
        self._made.put_nowait(error)


class MergedModel(StreamingResponse):
    """A directory as one tar, gone from the disk when the reply is over, also where the client hangs up."""

    def __init__(self, directory: Path) -> None:
        members = directory_members(directory)
        super().__init__(archive(members), media_type="application/x-tar", headers={"content-length": str(archive_size(members))})
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.to_thread(shutil.rmtree, self._directory)


class SamplerApp:
    """Routes over one engine."""

    def __init__(self, engine: Engine, vllm: VllmBackend | None = None) -> None:
        self._scheduler = Scheduler(engine)
        self._vllm = vllm

    def asgi(self) -> Starlette:
        """The application."""
        routes = [
            Route("/livez", self._livez),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/internal/merge", self._merge, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={RftError: _on_rft_error})

    async def _livez(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _chat(self, http: Request) -> Response:
        request = parse(await _body(http))
        sampling = Sampling()
        ticket = self._submit(request, sampling)
        begun = asyncio.ensure_future(sampling.generation() if request.stream else self._answer(sampling))
        gone = asyncio.ensure_future(_disconnected(http))
        handed_on = False
        try:
            await asyncio.wait({begun, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not begun.done():
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
            result = begun.result()
            if not isinstance(result, Generation):
                return JSONResponse(result)
            handed_on = True
            return StreamingResponse(self._events(result, sampling, ticket), media_type="text/event-stream")
        finally:
            begun.cancel()
            gone.cancel()
            if not handed_on:
                ticket.give_up()

    def _submit(self, request: ChatRequest, listener: Listener) -> GiveUp:
        base = self._vllm.base(request.touchstone.base_model) if self._vllm else None
        if base is None:
            return self._scheduler.submit(request, listener)
        return VllmTicket(base, self._scheduler, request, listener)

    async def _merge(self, http: Request) -> Response:
        try:
            asked = MergeRequest.model_validate(await _body(http))
        except ValidationError as error:
            raise InvalidRequest(f"Not a merge request: {error.errors()[0]['msg']}.") from None

        def export(engine: Engine) -> Path:
            return engine.export(asked.base_model, asked.manifest_key)

        directory = await asyncio.wrap_future(self._scheduler.call(export))
        return await asyncio.to_thread(MergedModel, directory)

    async def _answer(self, sampling: Sampling) -> Json:
        generation = await sampling.generation()
        return response(generation, [piece async for piece in sampling.all_pieces()])

    async def _events(self, generation: Generation, sampling: Sampling, ticket: GiveUp) -> AsyncIterator[bytes]:
        """Server-sent events. A failure after the first byte travels as an event, for the status is sent."""
        chunks = Chunks(generation)
        try:
            async for piece in sampling.all_pieces():
                for chunk in chunks.of(piece):
                    yield _event(chunk)
        except RftError as error:
            yield _event(_envelope(error))
            return
        finally:
            ticket.give_up()
        for chunk in chunks.end():
            yield _event(chunk)
        yield b"data: [DONE]\n\n"

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        unloading = asyncio.ensure_future(self._unload_idle())
        try:
            yield
        finally:
            unloading.cancel()
            await asyncio.to_thread(self._scheduler.close)
            if self._vllm:
                await self._vllm.close()

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(_UNLOAD_EVERY_SECONDS)
            self._scheduler.unload_idle()
            if self._vllm:
                await self._vllm.unload_idle()


async def _body(http: Request) -> Json:
    try:
        body = await http.json()
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.", code="invalid_type")
    return body


async def _disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _event(value: Json) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _envelope(error: RftError) -> Json:
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


async def _on_rft_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RftError)
    headers = {"retry-after": "5"} if error.status == 503 else None
    return JSONResponse(_envelope(error), status_code=error.status, headers=headers)
