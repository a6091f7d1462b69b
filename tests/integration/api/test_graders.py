"""Trying graders out."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

Json = dict[str, Any]
CHECK = {
    "type": "string_check",
    "name": "c",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}
SHARE = {
    "type": "python",
    "name": "p",
    "source": "def grade(sample, item):\n    return len(sample['output_text']) / item['length']",
}
MULTI = {
    "type": "multi",
    "name": "m",
    "graders": {"check": CHECK, "share": SHARE},
    "calculate_output": "0.5 * check + 0.5 * share",
}


def test_validate_returns_the_configuration(strict_client: OpenAI) -> None:
    assert strict_client.fine_tuning.alpha.graders.validate(grader=CHECK).grader.to_dict() == CHECK


def test_validate_fills_in_names(http: httpx2.Client) -> None:
    grader = {name: value for name, value in CHECK.items() if name != "name"}
    reply = http.post("/v1/fine_tuning/alpha/graders/validate", json={"grader": grader}).json()
    assert reply["grader"]["name"].startswith("grader-")


@pytest.mark.parametrize(("answer", "reward"), [("14", 1.0), ("15", 0.0)])
def test_run_grades_one_sample(strict_client: OpenAI, answer: str, reward: float) -> None:
    reply = strict_client.fine_tuning.alpha.graders.run(grader=CHECK, item={"answer": "14"}, model_sample=answer)
    assert reply.reward == reward
    assert reply.metadata.type == "string_check"


def test_run_uses_python_in_the_sandbox(strict_client: OpenAI) -> None:
    reply = strict_client.fine_tuning.alpha.graders.run(grader=SHARE, item={"length": 8}, model_sample="1234")
    assert reply.reward == 0.5


def test_a_multi_grader_shows_its_parts(strict_client: OpenAI) -> None:
    item = {"answer": "14", "length": 4}
    reply = strict_client.fine_tuning.alpha.graders.run(grader=MULTI, item=item, model_sample="14")
    assert reply.reward == 0.75
    assert reply.sub_rewards == {"check": 1.0, "share": 0.5}


def test_a_sample_of_json_is_parsed(client: OpenAI) -> None:
    grader = {**CHECK, "input": "{{sample.output_json.a}}"}
    assert client.fine_tuning.alpha.graders.run(grader=grader, item={"answer": "14"}, model_sample='{"a": 14}').reward == 1.0


@pytest.mark.parametrize("sample", ["no json", "[" * 100_000])
def test_a_sample_that_is_no_json_is_an_error_in_a_200(client: OpenAI, sample: str) -> None:
    grader = {**CHECK, "input": "{{sample.output_json.a}}"}
    reply = client.fine_tuning.alpha.graders.run(grader=grader, item={"answer": "14"}, model_sample=sample)
    assert reply.reward == 0.0
    assert reply.metadata.errors.sample_parse_error


def test_code_that_raises_is_an_error_in_a_200(client: OpenAI) -> None:
    reply = client.fine_tuning.alpha.graders.run(grader=SHARE, item={"length": 0}, model_sample="1234")
    assert reply.reward == 0.0
    assert reply.metadata.errors.python_grader_runtime_error
    assert "ZeroDivisionError" in reply.metadata.errors.python_grader_runtime_error_details


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model_sample": "x"}, "grader"),
        ({"grader": CHECK}, "model_sample"),
        ({"grader": CHECK, "model_sample": 5}, "model_sample"),
        ({"grader": CHECK, "model_sample": "x", "item": []}, "item"),
        ({"grader": {**CHECK, "operation": "almost"}, "model_sample": "x"}, "grader.operation"),
        ({"grader": {**CHECK, "input": "{{ secrets.key }}"}, "model_sample": "x"}, "grader.input"),
        ({"grader": {**SHARE, "source": "x = 1"}, "model_sample": "x"}, "grader.source"),
        ({"grader": {**MULTI, "calculate_output": "check + other"}, "model_sample": "x"}, "grader.calculate_output"),
        ({"grader": {**MULTI, "graders": {"m": MULTI}}, "model_sample": "x"}, "grader.graders.m.type"),
        ({"grader": {"type": "label_model"}, "model_sample": "x"}, "grader.type"),
    ],
)
def test_a_wrong_configuration_is_a_400(http: httpx2.Client, body: Json, param: str) -> None:
    reply = http.post("/v1/fine_tuning/alpha/graders/run", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_the_client_raises_for_a_wrong_configuration(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.alpha.graders.validate(grader={**CHECK, "type": "riddle"})
    assert caught.value.param == "grader.type"
