"""Chat completions and responses of a real model behind a served instance, through the real client, lax and strict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

from tests.models import tiny_model

Json = dict[str, Any]
HELLO = [{"role": "user", "content": "hello"}]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: Literal[0, 1]
    y: bool


class Drawing(BaseModel):
    colour: Colour
    point: Point
    more: Annotated[list[Literal["a", "b"]], Field(max_length=4)] | None


@pytest.fixture(scope="module")
def answering(fresh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("answering")
    tiny_model(directory / "tiny")
    with fresh.running(fresh.settings(directory, threads=1)) as service:
        yield service


@pytest.fixture(params=[False, True], ids=["lax", "strict"])
def client(answering, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    with answering.client(_strict_response_validation=request.param, timeout=120) as client:
        yield client


def chat(client: OpenAI, **wishes: Any) -> Any:
    return client.chat.completions.create(**{"model": "tiny", "messages": HELLO, "max_tokens": 24, "seed": 1, **wishes})


def respond(client: OpenAI, **wishes: Any) -> Any:
    return client.responses.create(**{"model": "tiny", "input": "hello", "max_output_tokens": 24, **wishes})


class TestChat:
    def test_every_choice_comes_with_its_usage(self, client: OpenAI) -> None:
        reply = chat(client, n=3)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        assert reply.choices[0].message.refusal is None
        assert reply.usage.prompt_tokens_details.cached_tokens == 0
        assert reply.usage.completion_tokens_details.reasoning_tokens == 0

    def test_a_stream_tells_what_the_whole_does(self, client: OpenAI) -> None:
        chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        whole = chat(client)
        assert text == whole.choices[0].message.content
        assert chunks[-1].usage == whole.usage

    def test_log_probabilities_come_with_the_likeliest_others(self, client: OpenAI) -> None:
        entries = chat(client, logprobs=True, top_logprobs=3, temperature=0).choices[0].logprobs.content
        assert all(len(entry.top_logprobs) == 3 for entry in entries)
        assert all(entry.logprob == pytest.approx(entry.top_logprobs[0].logprob, abs=1e-4) for entry in entries)

    def test_a_biased_token_is_chosen(self, client: OpenAI) -> None:
        assert set(chat(client, logit_bias={"32": 100}, max_tokens=5).choices[0].message.content) == {"A"}

    def test_a_penalty_forbids_repetition(self, client: OpenAI) -> None:
        bias = {str(token): 90 for token in range(32, 58)}
        text = chat(client, logit_bias=bias, frequency_penalty=2, presence_penalty=2, temperature=0, max_tokens=20)
        plain = chat(client, logit_bias=bias, temperature=0, max_tokens=20)
        assert len(set(text.choices[0].message.content)) > len(set(plain.choices[0].message.content))

    def test_a_model_is_parsed(self, client: OpenAI) -> None:
        reply = client.chat.completions.parse(model="tiny", messages=HELLO, response_format=Drawing, max_tokens=200, n=4)
        assert all(isinstance(choice.message.parsed, Drawing) for choice in reply.choices)

    @pytest.mark.parametrize(
        "schema",
        [
            {"enum": ["yes", "no"]},
            {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
            {"type": "integer", "minimum": 3, "maximum": 7},
            {
                "$defs": {"leaf": {"type": "object", "properties": {"v": {"enum": [1]}}, "additionalProperties": False}},
                "type": "object",
                "properties": {"left": {"$ref": "#/$defs/leaf"}, "right": {"$ref": "#/$defs/leaf"}},
                "required": ["left", "right"],
                "additionalProperties": False,
            },
        ],
        ids=["enum", "array", "number", "refs"],
    )
    def test_a_schema_is_followed(self, client: OpenAI, schema: Json) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
        for choice in chat(client, response_format=wanted, n=4, max_tokens=120).choices:
            jsonschema.validate(json.loads(choice.message.content), schema)

    def test_an_answer_cut_at_its_limit_is_no_parsed_model(self, client: OpenAI) -> None:
        with pytest.raises(openai.LengthFinishReasonError):
            client.chat.completions.parse(model="tiny", messages=HELLO, response_format=Drawing, max_tokens=4)

    def test_tools_that_a_template_lacks_are_refused(self, client: OpenAI) -> None:
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        with pytest.raises(openai.BadRequestError) as caught:
            chat(client, tools=tools)
        assert (caught.value.param, caught.value.code) == ("tools", "unsupported_parameter")


class TestResponses:
    def test_a_response_has_its_text_and_usage(self, client: OpenAI) -> None:
        reply = respond(client, max_output_tokens=400)
        assert reply.object == "response"
        assert reply.output[0].content[0].text == reply.output_text
        assert reply.usage.output_tokens_details.reasoning_tokens == 0

    def test_a_response_that_is_cut_off_is_incomplete(self, client: OpenAI) -> None:
        reply = respond(client, max_output_tokens=2, temperature=0)
        assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert reply.output[0].status == "incomplete"

    def test_log_probabilities_come_where_they_are_included(self, client: OpenAI) -> None:
        reply = respond(client, top_logprobs=2, include=["message.output_text.logprobs"])
        assert all(len(entry.top_logprobs) == 2 for entry in reply.output[0].content[0].logprobs)

    def test_a_model_is_parsed(self, client: OpenAI) -> None:
        reply = client.responses.parse(model="tiny", input="hello", text_format=Drawing, max_output_tokens=200)
        assert reply.status == "completed"
        assert isinstance(reply.output_parsed, Drawing)

    def test_events_come_in_openais_order(self, client: OpenAI) -> None:
        events = list(respond(client, stream=True, text=yes_or_no()))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type.removeprefix("response.") for event in events]
        assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
        assert set(kinds[4:-4]) == {"output_text.delta"}
        assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]

    def test_deltas_join_to_the_text(self, client: OpenAI) -> None:
        events = list(respond(client, stream=True, text=yes_or_no()))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == events[-1].response.output_text
        assert json.loads(text) in ("yes", "no")

    def test_the_clients_own_stream_helper_reads_it(self, client: OpenAI) -> None:
        with client.responses.stream(model="tiny", input="hello", text_format=Drawing, max_output_tokens=200) as stream:
            for _ in stream:
                pass
            assert isinstance(stream.get_final_response().output_parsed, Drawing)


def yes_or_no() -> Json:
    return {"format": {"type": "json_schema", "name": "x", "schema": {"enum": ["yes", "no"]}, "strict": True}}


def test_many_judges_at_once_all_get_their_verdict(answering) -> None:
    schema = {"type": "object", "properties": {"result": {"enum": [0, 1]}}, "required": ["result"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}

    def judge(seed: int) -> Any:
        with answering.client(timeout=120) as client:
            return json.loads(chat(client, seed=seed, response_format=wanted, max_tokens=60).choices[0].message.content)

    with ThreadPoolExecutor(24) as pool:
        assert {verdict["result"] for verdict in pool.map(judge, range(48))} <= {0, 1}
