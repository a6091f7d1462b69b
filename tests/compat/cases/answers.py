"""`client.chat.completions`, `client.responses` and their beta twins."""

from __future__ import annotations

from typing import Any, Literal

from openai import OpenAI
from pydantic import BaseModel

from tests.compat.cases.base import proves
from tests.compat.world import HELLO, World


class Verdict(BaseModel):
    answer: Literal["yes", "no"]


def _create_chat(completions: Any, world: World) -> None:
    asked = {"model": world.model, "messages": HELLO, "max_completion_tokens": 8, "seed": 3}
    reply = completions.create(**asked, n=2, logprobs=True)
    assert (reply.object, reply.model, len(reply.choices)) == ("chat.completion", world.model, 2)
    assert all(choice.message.role == "assistant" and choice.logprobs.content for choice in reply.choices)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens_details.reasoning_tokens == 0
    chunks = list(completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == (
        completions.create(**asked).choices[0].message.content
    )
    assert chunks[-1].usage.completion_tokens > 0


def _parse_chat(completions: Any, world: World) -> None:
    reply = completions.parse(model=world.model, messages=HELLO, response_format=Verdict, max_completion_tokens=60)
    assert isinstance(reply.choices[0].message.parsed, Verdict)


def _stream_chat(completions: Any, world: World) -> None:
    with completions.stream(model=world.model, messages=HELLO, response_format=Verdict, max_completion_tokens=60) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Verdict)


@proves("chat.completions.create")
def create_chat(client: OpenAI, world: World) -> None:
    _create_chat(client.chat.completions, world)


@proves("chat.completions.parse")
def parse_chat(client: OpenAI, world: World) -> None:
    _parse_chat(client.chat.completions, world)


@proves("chat.completions.stream")
def stream_chat(client: OpenAI, world: World) -> None:
    _stream_chat(client.chat.completions, world)


@proves("beta.chat.completions.create")
def create_beta_chat(client: OpenAI, world: World) -> None:
    _create_chat(client.beta.chat.completions, world)


@proves("beta.chat.completions.parse")
def parse_beta_chat(client: OpenAI, world: World) -> None:
    _parse_chat(client.beta.chat.completions, world)


@proves("beta.chat.completions.stream")
def stream_beta_chat(client: OpenAI, world: World) -> None:
    _stream_chat(client.beta.chat.completions, world)


@proves("responses.create")
def create_response(client: OpenAI, world: World) -> None:
    reply = client.responses.create(
        model=world.model,
        instructions="Be brief.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "say 1"}]}],
        max_output_tokens=400,
        store=False,
        metadata={"a": "b"},
    )
    assert (reply.object, reply.model, reply.error, reply.metadata) == ("response", world.model, None, {"a": "b"})
    assert reply.output[0].content[0].text == reply.output_text
    assert reply.usage.output_tokens_details.reasoning_tokens == 0
    events = list(client.responses.create(model=world.checkpoint(client), input="say 1", max_output_tokens=8, stream=True))
    assert (events[0].type, [event.sequence_number for event in events]) == ("response.created", list(range(len(events))))
    assert events[-1].type in ("response.completed", "response.incomplete")


@proves("responses.parse")
def parse_response(client: OpenAI, world: World) -> None:
    reply = client.responses.parse(model=world.model, input="say 1", text_format=Verdict, max_output_tokens=60)
    assert (reply.status, isinstance(reply.output_parsed, Verdict)) == ("completed", True)


@proves("responses.stream")
def stream_response(client: OpenAI, world: World) -> None:
    with client.responses.stream(model=world.model, input="say 1", text_format=Verdict, max_output_tokens=60) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.output_text.delta" in kinds
    assert isinstance(final.output_parsed, Verdict)


@proves("beta.responses.create")
def create_beta_response(client: OpenAI, world: World) -> None:
    reply = client.beta.responses.create(model=world.model, input="say 1", max_output_tokens=8)
    assert (reply.object, reply.model) == ("response", world.model)
    assert reply.output[0].content[0].text == "".join(part.text for item in reply.output for part in item.content)
