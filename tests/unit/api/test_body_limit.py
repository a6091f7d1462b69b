"""A body whose client falls silent."""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.errors import error_reply
from api.middleware import BodyLimit
from core.errors import RftError


async def reads_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    try:
        await request.body()
    except RftError as error:
        await error_reply(error)(scope, receive, send)


def test_a_client_that_sends_nothing_more_is_told_so() -> None:
    asked = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        if asked == 1:
            return {"type": "http.request", "body": b"half", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/files", "query_string": b"", "headers": []}
    asyncio.run(BodyLimit(reads_the_body, default=1000, limits={}, stall_seconds=0.01)(scope, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"]["code"] == "request_timeout"
