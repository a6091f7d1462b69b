"""One judge: so many questions at a time, each asked until there is an answer or its time is over."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.errors import RftError
from core.outbound import Reply
from graders.base import FailureKind, TokenUsage
from graders.judges.base import Answer, Json, NoAnswer, Question, Transport
from graders.retry import FIRST_PAUSE_SECONDS, Persistence, TryAgain, may_pass, retry_after

ATTEMPTS = 6
ATTEMPT_SECONDS = 120.0
"""The longest wait for one reply."""
MAX_REPLY_BYTES = 4 << 20
_QUOTED = 300
"""Characters of a server's error message that a client gets to see."""
_SECRET_STATUSES = frozenset({401, 403, 407})
"""Their messages may speak of the operator's key or account."""


class Judge:
    """A model that answers questions. Safe to use from many threads, which share its `concurrency`."""

    def __init__(
        self,
        transport: Transport,
        *,
        concurrency: int,
        seconds: float,
        attempts: int = ATTEMPTS,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._transport = transport
        self._persistence = Persistence(attempts=attempts, seconds=seconds, first_pause=first_pause)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="judge")
        self._takes_schema = True

    def ask(self, questions: Sequence[Question]) -> list[Answer | NoAnswer]:
        """One answer a question, in order."""
        return list(self._threads.map(self._ask_one, questions))

    def close(self) -> None:
        """Give up what is being tried again, and wait for the requests under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._persistence.close()
        self._threads.shutdown()

    def _ask_one(self, question: Question) -> Answer | NoAnswer:
        started = time.monotonic()
        try:
            reply = self._persistence.call(lambda left: self._once(question, min(left, ATTEMPT_SECONDS)))
        except (TryAgain, RftError) as error:
            return NoAnswer(FailureKind.MODEL_SERVER, str(error), TokenUsage(), time.monotonic() - started)
        return _read(reply, time.monotonic() - started)

    def _once(self, question: Question, timeout: float) -> Json:
        schema_was_sent = self._takes_schema
        reply = self._transport.complete(_body(question, with_schema=schema_was_sent), timeout)
        if reply.status == 400 and schema_was_sent and _speaks_of_schema(reply):
            # Some servers know no JSON schemas: they are asked in words, now and from now on.
            self._takes_schema = False
            raise TryAgain("the judge's server takes no response format", 0.0)
        if reply.status != 200:
            problem = _problem(reply)
            raise TryAgain(problem, retry_after(reply.headers)) if may_pass(reply) else RftError(problem)
        return _completion(reply)


def _body(question: Question, *, with_schema: bool) -> Json:
    body: Json = {"messages": list(question.messages), **question.sampling}
    if with_schema:
        named = {"name": question.schema_name, "strict": True, "schema": question.schema}
        return {**body, "response_format": {"type": "json_schema", "json_schema": named}}
    order = f"Answer with one JSON object of this JSON schema, and nothing else: {json.dumps(question.schema)}"
    return {**body, "messages": [{"role": "system", "content": order}, *question.messages]}


def _completion(reply: Reply) -> Json:
    """The reply's body; raises `TryAgain` where it is no chat completion, as when a proxy answers in the server's place."""
    try:
        body = json.loads(reply.content)
        if isinstance(body["choices"][0]["message"], dict):
            return dict(body)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError):
        pass
    raise TryAgain("the judge's server answered with something that is no chat completion")


def _read(body: Json, seconds: float) -> Answer | NoAnswer:
    choice = body["choices"][0]
    message, usage = choice["message"], _usage(body.get("usage"))
    refusal = message.get("refusal")
    if refusal or choice.get("finish_reason") == "content_filter":
        details = f"the judge refused: {str(refusal)[:_QUOTED]}" if refusal else "the judge's answer was filtered"
        return NoAnswer(FailureKind.MODEL_REFUSAL, details, usage, seconds)
    return Answer(_text(message.get("content")), choice.get("finish_reason") == "length", usage, seconds)


def _text(content: Any) -> str:
    """The content as one string; some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(usage: Any) -> TokenUsage:
    if not isinstance(usage, dict):
        return TokenUsage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return TokenUsage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0


def _problem(reply: Reply) -> str:
    """What a client may know of an error: the status, and the server's message unless it could tell secrets."""
    message = "" if reply.status in _SECRET_STATUSES else _message(reply)
    return f"the judge's server answered with status {reply.status}" + (f": {message[:_QUOTED]}" if message else "")


def _message(reply: Reply) -> str:
    try:
        message = json.loads(reply.content)["error"]["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""


def _speaks_of_schema(reply: Reply) -> bool:
    message = _message(reply).lower()
    return "response_format" in message or "json_schema" in message
