"""Chat completions and merged weights, in front of a model server whose answers are written down."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import tarfile
import time
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
URL = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = "response_format.json_schema"
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
SCRIPT = Path(__file__).with_name("scripted_sampler.py")


@pytest.fixture(scope="module")
def sampler_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sampler")


@pytest.fixture(scope="module")
def chat_app(service, fresh, sampler_directory: Path) -> Iterator[str]:
    """A second front on the same data, with the scripted model server behind it."""
    app = create_app(service.context.settings)
    scripted = SocketService([sys.executable, str(SCRIPT), "{socket}", str(sampler_directory)], log=sampler_directory / "log")
    app.state.context = dataclasses.replace(app.state.context, sampler=SamplerClient(scripted))
    with fresh.serving(app) as base_url:
        yield base_url


@pytest.fixture
def chat_client(chat_app: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{chat_app}/v1", api_key="sk-the-tests-own-key", max_retries=0) as client:
        yield client


@pytest.fixture
def chat_http(chat_app: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=chat_app, headers={"authorization": "Bearer sk-the-tests-own-key"}, timeout=60) as http:
        yield http


def schema_format(schema: Json) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def said(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def forwarded(client: OpenAI, **body: Any) -> Json:
    """What the model server is asked for this request."""
    reply = client.chat.completions.create(**{"model": "tiny", "messages": HELLO, **body})
    return json.loads(reply.choices[0].message.content)


def test_a_base_model_is_asked_without_an_adapter(chat_client: OpenAI) -> None:
    asked = forwarded(chat_client, model="o4-mini-2025-04-16")
    assert asked["touchstone"] == {"base_model": "tiny", "manifest_key": None}
    assert asked["model"] == "o4-mini-2025-04-16"


def test_tuned_models_and_checkpoints_are_asked_with_their_adapter(chat_client: OpenAI, run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    tuned = run.finish()
    keys = {forwarded(chat_client, model=name)["touchstone"]["manifest_key"] for name in (checkpoint, tuned)}
    assert len(keys) == 1
    assert keys.pop().endswith("/manifest.json")


def test_what_is_asked_for_is_passed_on(chat_client: OpenAI) -> None:
    wishes = {"frequency_penalty": 0.5, "presence_penalty": -0.5, "logit_bias": {"7": -100}, "top_logprobs": 2}
    wishes["response_format"] = schema_format({"type": "object"})
    asked = forwarded(chat_client, temperature=0, top_p=0.5, max_tokens=7, n=2, stop="x", seed=3, logprobs=True, **wishes)
    del asked["touchstone"]
    assert asked == {
        "model": "tiny",
        "messages": HELLO,
        **wishes,
        "temperature": 0,
        "top_p": 0.5,
        "max_completion_tokens": 7,
        "n": 2,
        "stop": "x",
        "seed": 3,
        "logprobs": True,
    }


def test_parameters_without_a_meaning_here_are_accepted_and_left_out(chat_client: OpenAI) -> None:
    idle = {
        "user": "me",
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "reasoning_effort": "low",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "verbosity": "low",
        "parallel_tool_calls": False,
        "modalities": ["text"],
        "response_format": {"type": "text"},
        "extra_body": {"novel": 1},
    }
    assert set(forwarded(chat_client, **idle)) == {"model", "messages", "touchstone"}


def test_tools_are_passed_on(chat_client: OpenAI) -> None:
    asked = forwarded(chat_client, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False)
    assert (asked["tools"], asked["parallel_tool_calls"]) == (TOOLS, False)


def test_tools_that_must_not_be_used_are_not_shown(chat_client: OpenAI) -> None:
    assert "tools" not in forwarded(chat_client, tools=TOOLS, tool_choice="none")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-x"}},
    ],
    ids=lambda part: part["type"],
)
def test_content_that_is_no_text_is_named(chat_client: OpenAI, part: Json) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]
    with pytest.raises(openai.BadRequestError, match=part["type"]) as caught:
        chat_client.chat.completions.create(model="tiny", messages=messages)
    assert caught.value.param == "messages[0].content[1].type"


def test_nulls_are_left_out(chat_http: httpx2.Client) -> None:
    body = {"model": "tiny", "messages": HELLO, "temperature": None, "stop": None, "n": None, "stream": None, "max_tokens": None}
    reply = chat_http.post(URL, json=body).json()
    assert set(json.loads(reply["choices"][0]["message"]["content"])) == {"model", "messages", "touchstone"}


def test_a_stream_arrives_in_pieces(chat_client: OpenAI) -> None:
    chunks = chat_client.chat.completions.create(model="tiny", messages=HELLO, stream=True)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["one", "two", "three"]


def test_a_stream_ends_with_done(chat_http: httpx2.Client) -> None:
    reply = chat_http.post(URL, json={"model": "tiny", "messages": HELLO, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_servers_refusal_is_passed_on(chat_client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat_client.chat.completions.create(model="tiny", messages=said("refuse"), stream=stream)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_a_crash_of_the_model_server_is_a_500(chat_client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        chat_client.chat.completions.create(model="tiny", messages=said("crash"))
    assert caught.value.code == "sampler_error"


def test_an_error_within_a_stream_ends_it(chat_client: OpenAI) -> None:
    stream = chat_client.chat.completions.create(model="tiny", messages=said("break"), stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(3)] == ["one", "two", "three"]
    with pytest.raises(openai.APIError, match="The device is gone"):
        next(stream)


def test_a_model_server_that_dies_is_a_503_and_comes_back(chat_client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        chat_client.chat.completions.create(model="tiny", messages=said("vanish"))
    assert (caught.value.status_code, caught.value.code) == (503, "server_is_overloaded")
    assert caught.value.response.headers["retry-after"]
    assert forwarded(chat_client)["model"] == "tiny"


def test_a_model_server_that_cannot_start_is_a_503(tmp_path: Path, fresh, caplog: pytest.LogCaptureFixture) -> None:
    settings = fresh.settings(tmp_path)
    with fresh.running(settings) as service, service.client() as client:
        settings.models.write_text("models: nonsense")
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="tiny", messages=HELLO)
    assert caught.value.status_code == 503
    assert str(tmp_path) not in caught.value.message
    assert str(settings.models) in caplog.text


@pytest.mark.parametrize("stream", [False, True])
def test_what_nobody_waits_for_is_given_up(chat_client: OpenAI, sampler_directory: Path, stream: bool) -> None:
    with pytest.raises(openai.APITimeoutError):
        for _ in chat_client.with_options(timeout=0.5).chat.completions.create(
            model="tiny", messages=said("wait"), stream=stream
        ):
            pass
    while not (sampler_directory / "gone").exists():
        time.sleep(0.01)
    (sampler_directory / "gone").unlink()


def test_a_merged_model_is_sent(chat_http: httpx2.Client, run, tmp_path: Path) -> None:
    run.checkpoint(0, 0.1, {"adapter_config.json": b"1"}, tmp_path)
    reply = chat_http.get(f"/v1/fine_tuning/jobs/{run.job_id}/checkpoints/best/weights", params={"format": "merged"})
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as archive:
        asked = json.loads(archive.extractfile("request.json").read())
    assert asked["base_model"] == "tiny"
    assert run.job_id in asked["manifest_key"]


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"model": None}, 400, "model", "invalid_type"),
        ({"model": "gpt-unknown"}, 404, "model", "model_not_found"),
        ({"messages": None}, 400, "messages", "invalid_type"),
        ({"messages": []}, 400, "messages", "invalid_value"),
        ({"messages": "hello"}, 400, "messages", "invalid_type"),
        ({"messages": [{"content": "x"}]}, 400, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content[0].type", None),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "messages[0].content[0].text", None),
        ({"temperature": 2.1}, 400, "temperature", "invalid_value"),
        ({"temperature": "hot"}, 400, "temperature", "invalid_type"),
        ({"top_p": 0}, 400, "top_p", "invalid_value"),
        ({"max_tokens": 0}, 400, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": 1.5}, 400, "max_completion_tokens", None),
        ({"n": 0}, 400, "n", "invalid_value"),
        ({"n": 129}, 400, "n", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, 400, "stop", None),
        ({"stop": 7}, 400, "stop", "invalid_type"),
        ({"seed": 2**64}, 400, "seed", None),
        ({"stream": "yes"}, 400, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", "invalid_value"),
        ({"top_logprobs": 2}, 400, "top_logprobs", "invalid_value"),
        ({"tools": [{"type": "function"}]}, 400, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "custom"}]}, 400, "tools[0].type", None),
        ({"tools": TOOLS, "tool_choice": "required"}, 400, "tool_choice", "unsupported_parameter"),
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, 400, "response_format", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, 400, "functions", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, 400, "modalities", "unsupported_parameter"),
        ({"frequency_penalty": 3}, 400, "frequency_penalty", "invalid_value"),
        ({"logit_bias": {"x": 1}}, 400, "logit_bias.x", None),
        ({"logit_bias": {"1": 101}}, 400, "logit_bias.1", None),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type", "invalid_value"),
        ({"response_format": schema_format({"type": "objekt"})}, 400, f"{SCHEMA}.schema", "invalid_json_schema"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(
    http: httpx2.Client, change: Json, status: int, param: str, code: str | None
) -> None:
    reply = http.post(URL, json={"model": "tiny", "messages": HELLO, **change})
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param), error
    assert code is None or error["code"] == code


def test_foreign_models_do_not_exist(service, run, tmp_path: Path) -> None:
    name = run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    with service.http("sk-the-key-of-another-project") as http:
        reply = http.post(URL, json={"model": name, "messages": HELLO})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
