"""`/v1/responses`."""

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
from api.chat.waiting import while_connected
from api.objects import EVENTS_TOO
from api.responses import service
from api.responses.events import Events
from api.responses.objects import ResponseObject
from api.responses.reply import Draft, output_items
from api.responses.schemas import ResponsesRequest
from core.errors import InvalidRequest, RftError

router = APIRouter(prefix="/v1/responses", tags=["responses"])


@router.post("", response_model=ResponseObject, responses=EVENTS_TOO, openapi_extra=json_schema_of(ResponsesRequest))
async def create_response(http: Request, caller: CallerDep, context: ContextDep, body: JsonBody) -> Response:
    """An answer of a base model, a tuned model or a checkpoint, whole or as server-sent events. It is not kept."""
    asked = service.read_request(body)
    try:
        request = await run_in_threadpool(service.sampler_body, context, caller.project_id, asked)
        if not asked.stream:
            return JSONResponse(_whole(asked, await while_connected(http, context.sampler.chat(request))))
        chunks = context.sampler.stream(request)
        # Until the first chunk an error can still be a status.
        first = await while_connected(http, anext(chunks))
    except InvalidRequest as error:
        raise service.in_our_words(error) from None
    events = _events(Events(Draft(asked)), first, chunks)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})


def _whole(asked: ResponsesRequest, completion: dict[str, Any]) -> dict[str, Any]:
    choice = completion["choices"][0]
    logprobs = (choice["logprobs"] or {}).get("content") or []
    output = output_items(choice["message"], logprobs, choice["finish_reason"])
    return Draft(asked).finished(output, choice["finish_reason"], completion["usage"])


async def _events(events: Events, first: dict[str, Any], chunks: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[bytes]:
    for event in (*events.begin(), *events.of(first)):
        yield _sent(event)
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                for event in events.of(chunk):
                    yield _sent(event)
    except RftError as error:
        yield _sent(events.fail(error.message))
        return
    for event in events.end():
        yield _sent(event)


def _sent(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
