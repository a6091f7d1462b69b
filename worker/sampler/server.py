"""The sampler's HTTP interface. One thread loads, merges and samples, one request after another; the event loop only talks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel as Schema
from pydantic import StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.errors import InvalidRequest, RftError
from worker.sampler.chat import Chunks, Generation, Piece, response
from worker.sampler.engine import Engine
from worker.sampler.request import parse

Json = dict[str, Any]
T = TypeVar("T")

_UNLOAD_EVERY_SECONDS = 30.0
_CLIENT_CLOSED_REQUEST = 499


class MergeRequest(Schema):
    """What to write as a merged model."""

    base_model: str
    manifest_key: Annotated[str, StringConstraints(min_length=1)]


class SamplerApp:
    """Routes over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")
        self._running: set[Generation] = set()

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
        target = request.touchstone
        generation = await self._in_thread(
            lambda: Generation(self._engine.serve(target.base_model, target.manifest_key), request)
        )
        if request.stream:
            return StreamingResponse(self._events(generation), media_type="text/event-stream")
        answer = asyncio.ensure_future(self._answer(generation))
        gone = asyncio.ensure_future(_disconnected(http))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            return JSONResponse(answer.result()) if answer.done() else Response(status_code=_CLIENT_CLOSED_REQUEST)
        finally:
            answer.cancel()
            gone.cancel()

    async def _merge(self, http: Request) -> Response:
        try:
            asked = MergeRequest.model_validate(await _body(http))
        except ValidationError as error:
            raise InvalidRequest(f"Not a merge request: {error.errors()[0]['msg']}.") from None
        directory = await self._in_thread(lambda: self._engine.export(asked.base_model, asked.manifest_key))
        return JSONResponse({"directory": str(directory)})

    async def _answer(self, generation: Generation) -> Json:
        return response(generation, [piece async for piece in self._pieces(generation)])

    async def _events(self, generation: Generation) -> AsyncIterator[bytes]:
        """Server-sent events. A failure after the first byte travels as an event, for the status is sent."""
        chunks = Chunks(generation)
        async with contextlib.aclosing(self._pieces(generation)) as pieces:
            try:
                async for piece in pieces:
                    for chunk in chunks.of(piece):
                        yield _event(chunk)
            except RftError as error:
                yield _event(_envelope(error))
                return
        for chunk in chunks.end():
            yield _event(chunk)
        yield b"data: [DONE]\n\n"

    async def _pieces(self, generation: Generation) -> AsyncGenerator[Piece]:
        """Pieces as the thread makes them. Closing or cancelling this iterator stops the generation at its next token."""
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[Piece | None] = asyncio.Queue()

        def sample() -> None:
            try:
                for piece in generation.pieces():
                    loop.call_soon_threadsafe(made.put_nowait, piece)
            finally:
                loop.call_soon_threadsafe(made.put_nowait, None)

        self._running.add(generation)
        done = loop.run_in_executor(self._thread, sample)
        try:
            while (piece := await made.get()) is not None:
                yield piece
            await done
        finally:
            generation.stop()
            self._running.discard(generation)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        unloading = asyncio.ensure_future(self._unload_idle())
        try:
            yield
        finally:
            unloading.cancel()
            for generation in self._running:
                generation.stop()
            self._thread.shutdown(wait=True, cancel_futures=True)

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(_UNLOAD_EVERY_SECONDS)
            await self._in_thread(self._engine.unload_idle)


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
