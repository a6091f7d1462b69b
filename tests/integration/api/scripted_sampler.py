"""A model server whose answers are written down: `python scripted_sampler.py SOCKET DIRECTORY`.

The last message says what happens: `refuse`, `vanish`, `crash` and `break` fail in four ways, `wait` never answers and leaves the
file `gone` when nobody waits any more, anything else is answered with the request as it came.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.tar import Member, archive, archive_size

socket_path, directory = sys.argv[1:]


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()


USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 3,
    "total_tokens": 8,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chunk(content: str | None, **rest: object) -> bytes:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": None, "logprobs": None}
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **rest}
    return f"data: {json.dumps(value)}\n\n".encode()


async def pieces(text: str, *, broken: bool) -> AsyncIterator[bytes]:
    for word in text.split():
        yield chunk(word)
        await asyncio.sleep(0)
    if broken:
        yield b'data: {"error": {"message": "The device is gone.", "type": "server_error", "param": null, "code": "gone"}}\n\n'
    yield b"data: [DONE]\n\n"


async def until_gone(request: Request) -> AsyncIterator[bytes]:
    try:
        yield chunk("one")
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
    finally:
        (Path(directory) / "gone").touch()


async def chat(request: Request) -> Response:
    body = await request.json()
    wish = body["messages"][-1].get("content")
    if wish == "vanish":
        os._exit(1)
    if wish == "refuse":
        error = {"message": "Too long.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}
        return JSONResponse({"error": error}, status_code=400)
    if wish == "wait":
        if body.get("stream"):
            return StreamingResponse(until_gone(request), media_type="text/event-stream")
        async for _ in until_gone(request):
            pass
    if wish == "crash":
        return Response("not even JSON", status_code=500)
    if body.get("stream"):
        return StreamingResponse(pieces("one two three", broken=wish == "break"), media_type="text/event-stream")
    message = {"role": "assistant", "content": json.dumps(body), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    reply = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
    return JSONResponse({**reply, "usage": USAGE})


async def merge(request: Request) -> Response:
    text = await request.body()
    members = [Member("request.json", len(text), lambda: [text])]
    return StreamingResponse(archive(members), headers={"content-length": str(archive_size(members))})


routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/internal/merge", merge, methods=["POST"])]
uvicorn.run(Starlette(routes=routes), uds=socket_path, log_level="warning", ws="none")
