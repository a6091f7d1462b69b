"""`/v1/chat/completions`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.chat import service
from api.chat.objects import ChatCompletion
from api.chat.schemas import ChatRequest
from api.chat.waiting import while_connected
from api.errors import error_body
from api.objects import EVENTS_TOO
from core.errors import RftError

router = APIRouter(prefix="/v1/chat", tags=["chat"])

_DONE = b"data: [DONE]\n\n"


@router.post("/completions", response_model=ChatCompletion, responses=EVENTS_TOO, openapi_extra=json_schema_of(ChatRequest))
async def create_completion(http: Request, caller: CallerDep, context: ContextDep, body: JsonBody) -> Response:
    """A chat completion of a base model, a tuned model or a checkpoint, whole or as server-sent events."""
    request = await run_in_threadpool(service.sampler_body, context, caller.project_id, body)
    if not request.get("stream"):
        return JSONResponse(await while_connected(http, context.sampler.chat(request)))
    chunks = context.sampler.stream(request)
    # Until the first chunk an error can still be a status.
    first = await while_connected(http, anext(chunks, None))
    return StreamingResponse(_events(first, chunks), media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _events(first: dict[str, Any] | None, chunks: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        if first is not None:
            yield _event(first)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield _event(chunk)
    except RftError as error:
        yield _event(error_body(error))
        return
    yield _DONE


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
