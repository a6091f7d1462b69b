"""Graders that ask a judge or an endpoint, tried out over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from openai import OpenAI

from core.jobs.types import JobCommand
from core.models import ModelRegistry
from core.processes import SocketService
from core.settings import DEFAULT_PROJECT
from core.tables import JobRow
from graders.judges.base import Answer, Question
from graders.judges.pool import JudgePool
from tests.judge import Asked, Said, Server, completion, error, scored, serving, verdict

from .conftest import ROWS, Service, jsonl, prepared, running

Json = dict[str, Any]
JUDGE = "gpt-4o-2024-08-06"
SCORE: Json = {
    "type": "score_model",
    "name": "s",
    "model": JUDGE,
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}
LABEL: Json = {
    "type": "label_model",
    "name": "l",
    "model": JUDGE,
    "input": [{"role": "developer", "content": "{{sample.output_text}}"}],
    "labels": ["0.5", "1"],
    "passing_labels": ["0.5"],
}
MULTI: Json = {"type": "multi", "name": "m", "graders": {"s": SCORE, "l": LABEL}, "calculate_output": "s + l"}
RUN, VALIDATE = "/v1/fine_tuning/alpha/graders/run", "/v1/fine_tuning/alpha/graders/validate"


def script(asked: Asked) -> Said:
    """Does what the sample says."""
    if asked.path == "/score":
        return scored(len(asked.body["sample"]["output_text"]))
    text = asked.body["messages"][-1]["content"]
    match text:
        case "refuse":
            return completion(None, refusal="No.")
        case "mumble":
            return completion("Hard to say.")
        case "ramble":
            return completion('{"steps": [', finish_reason="length")
        case "fail":
            return error(400, "too long")
    labelled = asked.body["response_format"]["json_schema"]["name"] == "label_classification"
    return verdict(text if labelled else float(text))


@contextmanager
def service_with(directory: Path, judge: Server, **changes: Any) -> Iterator[Service]:
    settings = prepared(directory, **changes)
    listed = yaml.safe_load(settings.models.read_text())
    listed["judges"] = {
        JUDGE: {"base_url": f"{judge.url}/v1", "model": "there"},
        "keyless": {"base_url": judge.url, "api_key_env": "NO_SUCH"},
    }
    settings.models.write_text(yaml.safe_dump(listed))
    with running(settings) as service:
        yield service


@pytest.fixture(scope="module")
def judge() -> Iterator[Server]:
    with serving(script) as server:
        yield server


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, judge: Server) -> Iterator[Service]:
    with service_with(tmp_path_factory.mktemp("judged"), judge) as service:
        yield service


@pytest.fixture(scope="module")
def strict(judged: Service) -> Iterator[OpenAI]:
    with judged.client(_strict_response_validation=True) as client:
        yield client


@pytest.fixture(scope="module")
def web(judged: Service) -> Iterator[httpx2.Client]:
    with judged.http() as http:
        yield http


def test_a_judges_score_comes_with_its_tokens(strict: OpenAI) -> None:
    reply = strict.fine_tuning.alpha.graders.run(grader=SCORE, model_sample="0.75").to_dict()
    assert reply["reward"] == 0.75
    assert (reply["metadata"]["sampled_model_name"], reply["metadata"]["token_usage"]) == (JUDGE, 18)
    assert reply["model_grader_token_usage_per_model"] == {
        JUDGE: {"prompt_tokens": 11, "total_tokens": 18, "completion_tokens": 7, "cached_tokens": 3}
    }


def test_parts_of_a_multi_grader_show_with_the_tokens_of_all(strict: OpenAI) -> None:
    reply = strict.fine_tuning.alpha.graders.run(grader=MULTI, model_sample="0.5").to_dict()
    assert (reply["reward"], reply["sub_rewards"]) == (1.5, {"s": 0.5, "l": 1.0})
    assert reply["model_grader_token_usage_per_model"][JUDGE]["total_tokens"] == 36


@pytest.mark.parametrize(
    ("sample", "flag", "details"),
    [
        ("refuse", "model_grader_refusal_error", "the judge refused: No."),
        ("mumble", "model_grader_parse_error", "expected a number as the result, but the judge wrote: 'Hard to say.'"),
        ("ramble", "model_grader_exceeded_max_tokens_error", "the judge ran out of tokens before its result"),
        ("fail", "model_grader_server_error", "the judge's server answered with status 400: too long"),
    ],
)
def test_every_failure_is_its_own_flag_in_a_200(strict: OpenAI, sample: str, flag: str, details: str) -> None:
    reply = strict.fine_tuning.alpha.graders.run(grader=SCORE, model_sample=sample).to_dict()
    assert reply["reward"] == 0.0
    errors = reply["metadata"]["errors"]
    assert [name for name, value in errors.items() if value is True] == [flag]
    assert errors[f"{flag}_details"] == details


@pytest.mark.parametrize(
    ("grader", "param"),
    [
        ({**SCORE, "model": "gpt-4o-mini"}, "grader.model"),
        ({**MULTI, "graders": {"s": SCORE, "l": {**LABEL, "model": "gpt-9"}}}, "grader.graders.l.model"),
        (LABEL, "grader.type"),
        ({**SCORE, "range": [1, 0]}, "grader.range"),
        ({**SCORE, "range": [0]}, "grader.range"),
        ({**SCORE, "range": [0, "1"]}, "grader.range[1]"),
        ({**SCORE, "input": []}, "grader.input"),
        ({**SCORE, "input": [{"role": "tool", "content": "x"}]}, "grader.input[0].role"),
        (
            {**SCORE, "input": [{"role": "user", "content": [{"type": "input_text", "text": "{{x.y}}"}]}]},
            "grader.input[0].content[0].text",
        ),
        ({**SCORE, "sampling_params": {"temperature": 3}}, "grader.sampling_params.temperature"),
        ({**MULTI, "graders": {"s": SCORE, "l": {**LABEL, "passing_labels": ["2"]}}}, "grader.graders.l.passing_labels"),
        ({"type": "endpoint", "url": "http://example.com/"}, "grader.url"),
        ({"type": "endpoint", "url": "https://169.254.169.254/"}, "grader.url"),
        ({"type": "endpoint", "url": "https://[::ffff:127.0.0.1]/"}, "grader.url"),
    ],
)
def test_a_wrong_configuration_is_a_400(web: httpx2.Client, grader: Json, param: str) -> None:
    for path in (RUN, VALIDATE):
        reply = web.post(path, json={"grader": grader, "model_sample": "1"})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_an_unknown_judge_is_refused_when_a_job_is_created(judged: Service) -> None:
    with judged.client() as client, judged.http() as http:
        file = client.files.create(file=("rows.jsonl", jsonl(ROWS)), purpose="fine-tune")
        method = {"type": "reinforcement", "reinforcement": {"grader": {**SCORE, "model": "gpt-4"}}}
        reply = http.post("/v1/fine_tuning/jobs", json={"model": "tiny", "training_file": file.id, "method": method})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "method.reinforcement.grader.model")


def test_a_judge_whose_key_is_not_set_is_the_operators_fault(web: httpx2.Client) -> None:
    reply = web.post(RUN, json={"grader": {**SCORE, "model": "keyless"}, "model_sample": "1"})
    assert reply.status_code == 503
    assert "has not set its API key" in reply.json()["error"]["message"]


def test_secrets_are_masked_when_a_grader_is_validated(web: httpx2.Client) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    grader = {"type": "endpoint", "name": "e", "url": "https://example.com/", "headers": {"x-key": "k"}, "signing_secret": secret}
    reply = web.post(VALIDATE, json={"grader": grader})
    assert reply.status_code == 200
    assert reply.json()["grader"]["headers"].keys() == {"x-key"}
    assert secret not in reply.text
    assert reply.json()["grader"]["headers"]["x-key"] != "k"


def test_an_endpoint_grades_where_the_operator_allows_its_address(tmp_path: Path, judge: Server) -> None:
    with service_with(tmp_path, judge, allow_private_urls=True) as service, service.http() as http:
        grader = {"type": "endpoint", "name": "e", "url": f"{judge.url}/score"}
        reply = http.post(RUN, json={"grader": grader, "model_sample": "four"}).json()
    assert (reply["reward"], reply["metadata"]["type"]) == (4.0, "endpoint")


def test_a_model_of_this_service_judges_too(tmp_path: Path) -> None:
    scripted = Path(__file__).with_name("scripted_sampler.py")
    sampler = SocketService([sys.executable, str(scripted), "{socket}", str(tmp_path)])
    pool = JudgePool(ModelRegistry.load(prepared(tmp_path)), sampler)
    try:
        (answer,) = pool.get("o4-mini-2025-04-16").ask(
            [Question(({"role": "user", "content": "well?"},), "form", {"type": "object"})]
        )
    finally:
        pool.close()
        sampler.close()
    assert isinstance(answer, Answer)
    asked = json.loads(answer.text)  # the scripted sampler answers with the request as it came
    assert asked["touchstone"] == {"base_model": "tiny"}
    assert asked["response_format"]["json_schema"] == {"name": "form", "strict": True, "schema": {"type": "object"}}


@pytest.fixture
def paused(judged: Service) -> str:
    """The id of a paused job."""
    with judged.client() as client:
        file = client.files.create(file=("rows.jsonl", jsonl(ROWS)), purpose="fine-tune")
        method: Any = {"type": "reinforcement", "reinforcement": {"grader": SCORE}}
        job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id, method=method)
    with judged.context.database.begin() as session:
        session.get_one(JobRow, job.id).status = "running"
    judged.context.jobs(DEFAULT_PROJECT).command(job.id, JobCommand.PAUSE)
    return job.id


def test_a_paused_job_resumes_with_another_grader(judged: Service, paused: str) -> None:
    other = {**SCORE, "range": [0, 5]}
    with judged.http() as http:
        reply = http.post(f"/v1/fine_tuning/jobs/{paused}/resume", json={"touchstone": {"grader": other}}).json()
        events = http.get(f"/v1/fine_tuning/jobs/{paused}/events").json()["data"]
    assert (reply["status"], reply["method"]["reinforcement"]["grader"]) == ("queued", other)
    assert "Grader replaced: what is graded from now on is graded by the new one" in [event["message"] for event in events]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"touchstone": {"grader": {**SCORE, "model": "gpt-9"}}}, "touchstone.grader.model"),
        ({"touchstone": {"grader": {"type": "riddle"}}}, "touchstone.grader.type"),
        ({"touchstone": {"seed": 1}}, "touchstone.seed"),
        ({"touchstone": 3}, "touchstone"),
    ],
)
def test_a_resume_with_a_wrong_grader_leaves_the_job_paused(judged: Service, paused: str, body: Json, param: str) -> None:
    with judged.http() as http:
        reply = http.post(f"/v1/fine_tuning/jobs/{paused}/resume", json=body)
        job = http.get(f"/v1/fine_tuning/jobs/{paused}").json()
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert (job["status"], job["method"]["reinforcement"]["grader"]) == ("paused", SCORE)


def test_a_resume_without_a_body_keeps_the_grader(judged: Service, paused: str) -> None:
    with judged.client() as client:
        assert client.fine_tuning.jobs.resume(paused).status == "queued"
