"""Responses, in front of a model server whose answers are written down: what is asked of it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from api.app import create_app
from api.chat.client import SamplerClient
from core.processes import SocketService

Json = dict[str, Any]
URL = "/v1/responses"
SCRIPT = Path(__file__).with_name("scripted_sampler.py")
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}


@pytest.fixture(scope="module")
def front(service, fresh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second front on the same data, with the scripted model server behind it."""
    directory = tmp_path_factory.mktemp("sampler")
    app = create_app(service.context.settings)
    scripted = SocketService([sys.executable, str(SCRIPT), "{socket}", str(directory)], log=directory / "log")
    app.state.context = dataclasses.replace(app.state.context, sampler=SamplerClient(scripted))
    with fresh.serving(app) as base_url:
        yield base_url


@pytest.fixture
def responses(front: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{front}/v1", api_key="sk-the-tests-own-key", max_retries=0) as client:
        yield client


def asked(client: OpenAI, **body: Any) -> Json:
    """What the model server is asked for this request."""
    reply = client.responses.create(**{"model": "tiny", "input": "hello", **body})
    return json.loads(reply.output_text)


def test_a_string_is_a_users_message(responses: OpenAI) -> None:
    assert asked(responses)["messages"] == [{"role": "user", "content": "hello"}]


def test_instructions_come_first(responses: OpenAI) -> None:
    assert asked(responses, instructions="Be kind.")["messages"][0] == {"role": "system", "content": "Be kind."}


def test_a_conversation_is_told_in_turns(responses: OpenAI) -> None:
    conversation = [
        {"role": "developer", "content": "Look first."},
        {"role": "user", "content": [{"type": "input_text", "text": "What is "}, {"type": "input_text", "text": "there?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "listen", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a boat"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "waves"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "A boat.", "annotations": []}],
        },
        {"role": "user", "content": "hello"},
    ]
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for i, name in enumerate(("look", "listen"), start=1)
    ]
    assert asked(responses, input=conversation)["messages"] == [
        {"role": "developer", "content": "Look first."},
        {"role": "user", "content": "What is there?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "a boat"},
        {"role": "tool", "tool_call_id": "c2", "content": "waves"},
        {"role": "assistant", "content": "A boat."},
        {"role": "user", "content": "hello"},
    ]


def test_limits_and_drawing_are_passed_on(responses: OpenAI) -> None:
    body = asked(responses, max_output_tokens=7, temperature=0.5, top_p=0.9, top_logprobs=3)
    assert {name: body[name] for name in ("max_completion_tokens", "temperature", "top_p", "logprobs", "top_logprobs")} == {
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "logprobs": True,
        "top_logprobs": 3,
    }


def test_a_format_is_passed_on(responses: OpenAI) -> None:
    wanted = {"type": "json_schema", "name": "answer", "strict": True, "schema": {"type": "object"}}
    assert asked(responses, text={"format": wanted})["response_format"] == wanted


def test_functions_are_passed_on_as_a_chats(responses: OpenAI) -> None:
    body = asked(responses, tools=[TOOL])
    assert body["tools"] == [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def test_parameters_without_a_meaning_here_are_accepted(responses: OpenAI) -> None:
    idle = {
        "store": False,
        "reasoning": {"effort": "low", "summary": "detailed"},
        "include": ["reasoning.encrypted_content"],
        "parallel_tool_calls": True,
        "metadata": {"a": "b"},
        "user": "me",
        "service_tier": "auto",
        "truncation": "disabled",
        "prompt_cache_key": "k",
        "max_tool_calls": 3,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "extra_body": {"novel": 1},
    }
    assert set(asked(responses, **idle)) == {"model", "messages", "touchstone"}


def test_a_request_is_echoed_in_its_reply(responses: OpenAI) -> None:
    wishes = {"metadata": {"a": "b"}, "instructions": "Be kind.", "temperature": 0.5, "max_output_tokens": 9, "tools": [TOOL]}
    reply = responses.responses.create(model="tiny", input="hello", reasoning={"effort": "low"}, **wishes)
    shown = reply.to_dict()
    assert {name: shown[name] for name in ("metadata", "instructions", "temperature", "max_output_tokens")} == {
        name: wishes[name] for name in ("metadata", "instructions", "temperature", "max_output_tokens")
    }
    assert shown["reasoning"]["effort"] == "low"
    assert shown["store"] is False


def test_usage_counts_reasoning(responses: OpenAI) -> None:
    usage = responses.responses.create(model="tiny", input="hello").usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 3, 8)
    assert usage.output_tokens_details.reasoning_tokens == 2


def test_the_model_servers_refusal_is_told_in_the_requests_words(responses: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        responses.responses.create(model="tiny", input="refuse")
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


def test_a_stream_that_breaks_ends_as_failed(responses: OpenAI) -> None:
    events = list(responses.responses.create(model="tiny", input="break", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.message == "The device is gone."


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"model": "gpt-unknown"}, "model", "model_not_found"),
        ({"input": None}, "input", None),
        ({"input": []}, "input", "invalid_value"),
        ({"input": [{"role": "king", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "unsupported_value"),
        ({"input": [{"type": "reasoning", "id": "x", "summary": []}]}, "input", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
            "unsupported_value",
        ),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"truncation": "auto"}, "truncation", "unsupported_parameter"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"tools": [TOOL], "text": {"format": {"type": "json_object"}}}, "text.format", "unsupported_parameter"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"metadata": {"a": 5}}, "metadata.a", "invalid_type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "objekt"}}}},
            "text.format.schema",
            "invalid_json_schema",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(http: httpx2.Client, change: Json, param: str, code: str | None) -> None:
    reply = http.post(URL, json={"model": "tiny", "input": "hello", **change})
    error = reply.json()["error"]
    assert reply.status_code in (400, 404)
    assert error["param"] == param, error
    assert code is None or error["code"] == code


def test_responses_are_not_kept(http: httpx2.Client) -> None:
    reply = http.get(f"{URL}/resp_1")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")
