"""A streamed response: the chunks of a chat completion told as OpenAI's events, numbered from 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.responses.reply import Draft, function_call, text_message, text_part
from core.ids import new_id

Json = dict[str, Any]


class Events:
    """The events of one response."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._number = 0
        self._text: str | None = None
        self._message_id = ""
        self._logprobs: list[Json] = []
        self._calls: list[Json] = []
        self._finish_reason: str | None = None
        self._usage: Json = {}

    def begin(self) -> Iterator[Json]:
        """Before the first chunk."""
        yield self._event("response.created", response=self._draft.begun())
        yield self._event("response.in_progress", response=self._draft.begun())

    def of(self, chunk: Json) -> Iterator[Json]:
        """What one chunk adds; nothing where it only ends a choice or holds the usage."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"]:
            delta, entries = choice["delta"], (choice["logprobs"] or {}).get("content") or []
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            self._calls += delta.get("tool_calls") or []
            if delta.get("content") or entries:
                yield from self._add(delta.get("content") or "", entries)

    def end(self) -> Iterator[Json]:
        """After the last chunk."""
        if self._text is None and not self._calls:
            yield from self._begin_text()
        output: list[Json] = []
        if self._text is not None:
            yield from self._end_text(output)
        for call in self._calls:
            yield from self._call(call, output)
        response = self._draft.finished(output, self._finish_reason, self._usage)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, message: str) -> Json:
        """In place of what was still to come."""
        return self._event("response.failed", response=self._draft.failed(message))

    def _add(self, text: str, entries: list[Json]) -> Iterator[Json]:
        if self._text is None:
            yield from self._begin_text()
        self._text = (self._text or "") + text
        self._logprobs += entries
        yield self._text_event("response.output_text.delta", delta=text, logprobs=_short(entries))

    def _begin_text(self) -> Iterator[Json]:
        self._text, self._message_id = "", new_id("msg_")
        item = text_message(self._message_id, "in_progress", [])
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._text_event("response.content_part.added", part=text_part("", []))

    def _end_text(self, output: list[Json]) -> Iterator[Json]:
        text = self._text or ""
        part = text_part(text, self._logprobs)
        status = "incomplete" if self._finish_reason == "length" else "completed"
        output.append(text_message(self._message_id, status, [part]))
        yield self._text_event("response.output_text.done", text=text, logprobs=_short(self._logprobs))
        yield self._text_event("response.content_part.done", part=part)
        yield self._event("response.output_item.done", output_index=0, item=output[-1])

    def _call(self, call: Json, output: list[Json]) -> Iterator[Json]:
        item = function_call(call, "completed")
        place = {"output_index": len(output), "item_id": item["id"]}
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield self._event("response.output_item.added", output_index=len(output), item=begun)
        yield self._event("response.function_call_arguments.delta", **place, delta=item["arguments"])
        yield self._event("response.function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"])
        yield self._event("response.output_item.done", output_index=len(output), item=item)
        output.append(item)

    def _text_event(self, kind: str, **fields: Any) -> Json:
        return self._event(kind, item_id=self._message_id, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> Json:
        number, self._number = self._number, self._number + 1
        return {"type": kind, "sequence_number": number, **fields}


def _short(entries: list[Json]) -> list[Json]:
    """Log-probabilities as events carry them: without bytes."""
    return [{**_pair(entry), "top_logprobs": [_pair(other) for other in entry["top_logprobs"]]} for entry in entries]


def _pair(entry: Json) -> Json:
    return {"token": entry["token"], "logprob": entry["logprob"]}
