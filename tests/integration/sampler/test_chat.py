from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.settings import Settings
from tests.integration.sampler.conftest import PROMPT, Sampler


def text(reply: Any, index: int = 0) -> str:
    return str(reply["choices"][index]["message"]["content"])


def prompt_of(model: Path) -> tuple[Any, torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    rendered = tokenizer.apply_chat_template(PROMPT, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    return tokenizer, rendered["input_ids"]


def greedy(model: Any, directory: Path, tokens: int = 24) -> str:
    tokenizer, prompt = prompt_of(directory)
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=tokens)
    return str(tokenizer.decode(out[0, prompt.shape[1] :], skip_special_tokens=True))


def stream(sampler: Sampler, **fields: Any) -> list[Any]:
    body = {"model": "any", "messages": PROMPT, "touchstone": {"base_model": "tiny"}, "stream": True, "max_tokens": 24, **fields}
    with sampler.http.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def streamed_text(chunks: list[Any], index: int = 0) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_a_completion_has_openais_shape(sampler: Sampler) -> None:
    reply = sampler.chat(model="ft:mine")

    assert (reply["object"], reply["model"]) == ("chat.completion", "ft:mine")
    assert reply["id"].startswith("chatcmpl-")
    assert reply["choices"][0]["message"]["role"] == "assistant"


def test_greedy_answers_are_those_of_transformers(sampler: Sampler) -> None:
    assert text(sampler.chat(temperature=0)) == greedy(AutoModelForCausalLM.from_pretrained(sampler.model), sampler.model)


def test_greedy_answers_with_an_adapter_are_those_of_peft(sampler: Sampler) -> None:
    model = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sampler.model), sampler.adapter)

    assert text(sampler.chat(temperature=0, manifest_key=sampler.manifest_key)) == greedy(model, sampler.model)


def test_an_adapter_leaves_the_base_model_as_it_was(sampler: Sampler) -> None:
    before = text(sampler.chat(temperature=0))
    sampler.chat(temperature=0, manifest_key=sampler.manifest_key)

    assert text(sampler.chat(temperature=0)) == before


def test_logprobs_are_the_models_own(sampler: Sampler) -> None:
    entry = sampler.chat(temperature=0, logprobs=True, max_tokens=1)["choices"][0]["logprobs"]["content"][0]
    _, prompt = prompt_of(sampler.model)
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(sampler.model)(prompt).logits[0, -1]

    assert entry["logprob"] == pytest.approx(logits.log_softmax(0).max().item(), abs=1e-4)


def test_the_same_seed_gives_the_same_answers(sampler: Sampler) -> None:
    replies = [sampler.chat(seed=3, n=2) for _ in range(2)]

    assert replies[0]["choices"] == replies[1]["choices"]


def test_another_seed_gives_another_answer(sampler: Sampler) -> None:
    assert text(sampler.chat(seed=3)) != text(sampler.chat(seed=4))


def test_choices_of_one_request_differ(sampler: Sampler) -> None:
    reply = sampler.chat(seed=3, n=3)

    assert len({text(reply, index) for index in range(3)}) == 3


def test_usage_counts_prompt_and_completion(sampler: Sampler) -> None:
    usage = sampler.chat(seed=3, n=2, max_tokens=4)["usage"]

    assert usage["prompt_tokens"] == prompt_of(sampler.model)[1].shape[1]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_an_answer_cut_at_its_limit_says_so(sampler: Sampler) -> None:
    reply = sampler.chat(temperature=0, max_tokens=2)

    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 2


def test_max_completion_tokens_is_the_newer_name(sampler: Sampler) -> None:
    assert sampler.chat(temperature=0, max_tokens=None, max_completion_tokens=3)["usage"]["completion_tokens"] == 3


def test_a_stop_string_ends_the_answer_before_it(sampler: Sampler) -> None:
    whole = text(sampler.chat(temperature=0))
    stop = whole[3:5]
    reply = sampler.chat(temperature=0, stop=stop)

    assert text(reply) == whole[: whole.index(stop)]
    assert reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_joins_to_the_same_answer(sampler: Sampler, seed: int) -> None:
    assert streamed_text(stream(sampler, seed=seed)) == text(sampler.chat(seed=seed))


def test_a_stream_tells_choices_apart(sampler: Sampler) -> None:
    reply, chunks = sampler.chat(seed=3, n=2), stream(sampler, seed=3, n=2)

    assert [streamed_text(chunks, index) for index in range(2)] == [text(reply, index) for index in range(2)]


def test_a_stream_ends_every_choice_with_a_reason(sampler: Sampler) -> None:
    reasons = [choice["finish_reason"] for chunk in stream(sampler, seed=3, n=2) for choice in chunk["choices"]]

    assert len([reason for reason in reasons if reason]) == 2


def test_a_stream_carries_the_usage_where_asked(sampler: Sampler) -> None:
    last = stream(sampler, seed=3, stream_options={"include_usage": True})[-1]

    assert last["choices"] == []
    assert last["usage"] == sampler.chat(seed=3)["usage"]


def test_chunks_of_a_stream_share_one_id(sampler: Sampler) -> None:
    assert len({chunk["id"] for chunk in stream(sampler, seed=3)}) == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages.0.role", "missing_required_parameter"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "invalid_value"),
        ({"frequency_penalty": 2.5}, "frequency_penalty", "invalid_value"),
        ({"logit_bias": {"300": 1}}, "logit_bias", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"messages": [{"role": "user", "content": "sea " * 200}]}, "messages", "context_length_exceeded"),
    ],
)
def test_a_wrong_request_is_refused_by_name(sampler: Sampler, fields: dict[str, Any], param: str, code: str) -> None:
    error = sampler.chat(status=400, **fields)["error"]

    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")


def test_a_stream_that_cannot_begin_is_refused_with_a_status(sampler: Sampler) -> None:
    assert sampler.chat(status=400, stream=True, messages=[{"role": "user", "content": "sea " * 200}])["error"]["message"]


def test_an_operators_limit_of_length_holds(sampler: Sampler) -> None:
    assert sampler.chat(base="short", temperature=0, max_tokens=None)["usage"]["total_tokens"] <= 64


def test_an_unknown_model_is_not_found(sampler: Sampler) -> None:
    assert sampler.chat(status=404, base="nope")["error"]["code"] == "model_not_found"


def test_a_model_that_is_not_prepared_is_unavailable(sampler: Sampler) -> None:
    assert "rft models fetch absent" in sampler.chat(status=503, base="absent")["error"]["message"]


def test_a_merged_model_is_loaded_by_transformers(sampler: Sampler, tmp_path: Path) -> None:
    reply = sampler.http.post("/internal/merge", json={"base_model": "tiny", "manifest_key": sampler.manifest_key})
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as archive:
        archive.extractall(tmp_path, filter="data")

    merged = greedy(AutoModelForCausalLM.from_pretrained(tmp_path), tmp_path)

    assert merged == text(sampler.chat(temperature=0, manifest_key=sampler.manifest_key))


def test_nothing_of_a_merged_model_stays_on_the_disk(sampler: Sampler, settings: Settings) -> None:
    sampler.http.post("/internal/merge", json={"base_model": "tiny", "manifest_key": sampler.manifest_key})
    while list((settings.data_dir / "merged").iterdir()):  # removed when the reply is over, and that is a moment after its end
        time.sleep(0.02)
