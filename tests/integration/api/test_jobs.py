"""Creating jobs: what is taken, what is refused by its name, what a retry makes, what is foreign."""

from __future__ import annotations

import copy
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from core.jobs.plan import Hyperparameters, Options, resolve
from core.jobs.sql_leases import SqlLeaseStore

Json = dict[str, Any]
DELETE = object()


def changed(body: Json, path: str, value: Any) -> Json:
    """The body with one value replaced, or left out."""
    result = copy.deepcopy(body)
    *parents, last = path.split("/")
    target = result
    for name in parents:
        target = target[name]
    if value is DELETE:
        del target[last]
    else:
        target[last] = value
    return result


BLOCK = "method/reinforcement"
HP = f"{BLOCK}/hyperparameters"
PARAM = "method.reinforcement"
HP_PARAM = f"{PARAM}.hyperparameters"


def test_a_new_job_has_openais_shape(strict_client: OpenAI, body: Json) -> None:
    job = strict_client.fine_tuning.jobs.create(**body, suffix="mine", seed=7, metadata={"owner": "me"})
    assert (job.status, job.model, job.seed, job.metadata) == ("validating_files", "tiny", 7, {"owner": "me"})
    assert (job.error, job.fine_tuned_model, job.finished_at, job.trained_tokens, job.result_files) == (
        None,
        None,
        None,
        None,
        [],
    )
    assert job.model_extra["user_provided_suffix"] == "mine"
    assert strict_client.fine_tuning.jobs.retrieve(job.id) == job


def test_hyperparameters_are_auto_until_they_are_resolved(client: OpenAI, body: Json) -> None:
    job = client.fine_tuning.jobs.create(**body)
    shown = job.method.reinforcement.hyperparameters
    assert (shown.n_epochs, shown.batch_size, shown.eval_samples, shown.reasoning_effort) == (2, "auto", "auto", "default")
    assert (job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == (2, "auto")


def test_a_seed_is_drawn_where_none_is_given(client: OpenAI, body: Json) -> None:
    assert client.fine_tuning.jobs.create(**body).seed != client.fine_tuning.jobs.create(**body).seed


def test_an_alias_stands_for_its_model_and_is_shown(client: OpenAI, body: Json, service) -> None:
    job = client.fine_tuning.jobs.create(**{**body, "model": "o4-mini-2025-04-16"})
    assert job.model == "o4-mini-2025-04-16"
    assert service.context.jobs("proj_default").get(job.id).base_model == "tiny"


def test_explicit_nulls_are_as_good_as_absent(http: httpx2.Client, body: Json) -> None:
    names = ("seed", "suffix", "metadata", "integrations", "hyperparameters", "touchstone", "validation_file")
    sent = {**body, **dict.fromkeys(names)}
    sent = changed(sent, f"{HP}/batch_size", None)
    sent = changed(sent, f"{BLOCK}/response_format", None)
    reply = http.post("/v1/fine_tuning/jobs", json=sent)
    assert reply.status_code == 200
    assert reply.json()["validation_file"] is None
    assert reply.json()["hyperparameters"]["batch_size"] == "auto"


def test_unknown_fields_are_kept_and_echoed(client: OpenAI, body: Json) -> None:
    sent = changed(changed(changed(body, f"{BLOCK}/novel", [1]), f"{HP}/novel", 2), f"{BLOCK}/grader/novel", 3)
    job = client.fine_tuning.jobs.create(**sent, extra_body={"trainingType": 1, "id": "mine", "status": "succeeded"})
    block = job.to_dict()["method"]["reinforcement"]
    assert (block["novel"], block["hyperparameters"]["novel"], block["grader"]["novel"]) == ([1], 2, 3)
    assert job.model_extra["trainingType"] == 1
    assert job.id != "mine"
    assert job.status == "validating_files"


def test_a_grader_without_a_name_gets_one(client: OpenAI, body: Json) -> None:
    sent = changed(body, f"{BLOCK}/grader/name", DELETE)
    assert client.fine_tuning.jobs.create(**sent).method.reinforcement.grader.name.startswith("grader-")


def test_our_own_options_come_back(client: OpenAI, body: Json) -> None:
    job = client.fine_tuning.jobs.create(**body, extra_body={"touchstone": {"samples_per_prompt": 4, "temperature": None}})
    assert job.model_extra["touchstone"] == {"samples_per_prompt": 4}


def test_highest_priority_is_claimed_first(client: OpenAI, body: Json, service) -> None:
    leases = SqlLeaseStore(service.context.database)
    ids = []
    for priority in (0, 5):
        ids.append(client.fine_tuning.jobs.create(**body, extra_body={"touchstone": {"priority": priority}}).id)
        plan = resolve(Hyperparameters(), Options(priority=priority), train_rows=4, valid_rows=4)
        leases.validated(leases.unvalidated(ids[-1])[0], plan.to_json())
    lease = leases.claim("worker", 60.0)
    assert lease is not None
    assert lease.job_id == ids[1]


@pytest.mark.parametrize("block", [{"hyperparameters": {"beta": "auto"}}, {"hyperparameters": 7}, None])
def test_blocks_of_other_methods_are_ignored(client: OpenAI, body: Json, block: Any) -> None:
    sent = changed(changed(body, "method/dpo", block), "method/supervised", block)
    method = client.fine_tuning.jobs.create(**sent).method
    assert (method.dpo, method.supervised) == (None, None)


@pytest.mark.parametrize("kind", ["supervised", "dpo"])
def test_other_methods_are_refused_before_anything_else(http: httpx2.Client, kind: str) -> None:
    body = {"model": "gpt-unknown", "method": {"type": kind, "reinforcement": {"grader": 1}}}
    error = http.post("/v1/fine_tuning/jobs", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_method", "method.type")


def test_deprecated_hyperparameters_fill_what_the_method_leaves_out(strict_client: OpenAI, body: Json) -> None:
    deprecated = {"n_epochs": 3, "batch_size": 5, "learning_rate_multiplier": "auto"}
    job = strict_client.fine_tuning.jobs.create(**body, hyperparameters=deprecated)
    shown = job.method.reinforcement.hyperparameters
    assert (shown.n_epochs, shown.batch_size) == (2, 5)
    assert job.hyperparameters.to_dict() == {"n_epochs": 2, "batch_size": 5, "learning_rate_multiplier": "auto"}


def test_an_integration_is_echoed_and_a_warning_says_that_nothing_is_sent(strict_client: OpenAI, body: Json) -> None:
    wandb = {"project": "mine", "name": None, "tags": ["a"], "novel": 1}
    job = strict_client.fine_tuning.jobs.create(**body, integrations=[{"type": "wandb", "wandb": wandb}])
    assert job.integrations[0].to_dict() == {"type": "wandb", "wandb": wandb}
    event = strict_client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (event.level, event.type) == ("warn", "message")
    assert "sends no metrics to Weights & Biases" in event.message


def test_headers_in_a_configuration_are_never_shown(http: httpx2.Client, body: Json) -> None:
    secret = {"Authorization": "Bearer sesame", "X-Nested": {"deep": ["sesame"]}}
    grader = {
        "type": "multi",
        "graders": {"a": {**body["method"]["reinforcement"]["grader"], "headers": secret}},
        "calculate_output": "a",
        "headers": secret,
    }
    job = http.post("/v1/fine_tuning/jobs", json=changed(body, f"{BLOCK}/grader", grader))
    hidden = {"Authorization": "**********", "X-Nested": "**********"}
    shown = job.json()["method"]["reinforcement"]["grader"]
    assert (shown["headers"], shown["graders"]["a"]["headers"]) == (hidden, hidden)
    job_url = f"/v1/fine_tuning/jobs/{job.json()['id']}"
    for path in (job_url, f"{job_url}/events", "/v1/fine_tuning/jobs?limit=1"):
        assert "sesame" not in http.get(path).text


@pytest.mark.parametrize(
    ("path", "value", "status", "param", "code"),
    [
        ("model", DELETE, 400, "model", "missing_required_parameter"),
        ("model", 5, 400, "model", "invalid_type"),
        ("model", "", 400, "model", "invalid_value"),
        ("model", "gpt-unknown", 404, "model", "model_not_found"),
        ("training_file", DELETE, 400, "training_file", "missing_required_parameter"),
        ("training_file", "file-unknown", 404, "training_file", None),
        ("validation_file", "file-unknown", 404, "validation_file", None),
        ("validation_file", 3, 400, "validation_file", "invalid_type"),
        ("method", DELETE, 400, "method", "unsupported_method"),
        ("method", {"type": "supervised"}, 400, "method.type", "unsupported_method"),
        ("method", {"type": "dpo"}, 400, "method.type", "unsupported_method"),
        ("method", {"type": "magic"}, 400, "method.type", "invalid_value"),
        ("method", {"type": "reinforcement"}, 400, "method.reinforcement", "missing_required_parameter"),
        ("method", [], 400, "method", "invalid_type"),
        (f"{BLOCK}/grader", DELETE, 400, "method.reinforcement.grader", "missing_required_parameter"),
        (f"{BLOCK}/grader", "x", 400, "method.reinforcement.grader", "invalid_type"),
        (f"{BLOCK}/grader/type", "label_model", 400, "method.reinforcement.grader.type", "invalid_value"),
        (f"{BLOCK}/grader/type", "riddle", 400, "method.reinforcement.grader.type", None),
        (f"{BLOCK}/grader/input", 5, 400, "method.reinforcement.grader.input", "invalid_type"),
        (f"{BLOCK}/grader/input", "{{ env.HOME }}", 400, "method.reinforcement.grader.input", "invalid_value"),
        (f"{BLOCK}/response_format", {"type": "json_schema"}, 400, f"{PARAM}.response_format.json_schema", None),
        (f"{BLOCK}/tools", [{"name": "x"}], 400, "method.reinforcement.tools", "unsupported_parameter"),
        (f"{HP}/n_epochs", 0, 400, f"{HP_PARAM}.n_epochs", "invalid_value"),
        (f"{HP}/n_epochs", 51, 400, f"{HP_PARAM}.n_epochs", "invalid_value"),
        (f"{HP}/n_epochs", "two", 400, f"{HP_PARAM}.n_epochs", "invalid_type"),
        (f"{HP}/n_epochs", True, 400, f"{HP_PARAM}.n_epochs", "invalid_type"),
        (f"{HP}/n_epochs", 1.5, 400, f"{HP_PARAM}.n_epochs", None),
        (f"{HP}/batch_size", 257, 400, f"{HP_PARAM}.batch_size", "invalid_value"),
        (f"{HP}/compute_multiplier", 0.00001, 400, f"{HP_PARAM}.compute_multiplier", "invalid_value"),
        (f"{HP}/learning_rate_multiplier", 0, 400, f"{HP_PARAM}.learning_rate_multiplier", "invalid_value"),
        (f"{HP}/eval_interval", 0, 400, f"{HP_PARAM}.eval_interval", "invalid_value"),
        (f"{HP}/reasoning_effort", "max", 400, f"{HP_PARAM}.reasoning_effort", "invalid_value"),
        (HP, [], 400, "method.reinforcement.hyperparameters", "invalid_type"),
        ("suffix", "", 400, "suffix", "invalid_value"),
        ("suffix", "s" * 65, 400, "suffix", "invalid_value"),
        ("suffix", "a\nb", 400, "suffix", "invalid_value"),
        ("seed", -1, 400, "seed", "invalid_value"),
        ("seed", 2**31, 400, "seed", "invalid_value"),
        ("seed", "7", 400, "seed", "invalid_type"),
        ("metadata", {"k" * 65: "v"}, 400, "metadata." + "k" * 65, "invalid_value"),
        ("metadata", {"k": "v" * 513}, 400, "metadata.k", "invalid_value"),
        ("metadata", {"k": 1}, 400, "metadata.k", "invalid_type"),
        ("metadata", {str(n): "v" for n in range(17)}, 400, "metadata", "invalid_value"),
        ("integrations", [{"type": "comet"}], 400, "integrations[0].type", "invalid_value"),
        ("integrations", [{"type": "wandb"}], 400, "integrations[0].wandb", "missing_required_parameter"),
        ("integrations", [{"type": "wandb", "wandb": {}}], 400, "integrations[0].wandb.project", "missing_required_parameter"),
        ("integrations", [{"type": "wandb", "wandb": {"project": "x"}}] * 6, 400, "integrations", "invalid_value"),
        ("hyperparameters", {"n_epochs": 51}, 400, "hyperparameters.n_epochs", "invalid_value"),
        ("hyperparameters", "auto", 400, "hyperparameters", "invalid_type"),
        ("touchstone", {"sampels_per_prompt": 4}, 400, "touchstone.sampels_per_prompt", "unknown_parameter"),
        ("touchstone", {"temperature": 3}, 400, "touchstone.temperature", "invalid_value"),
        ("touchstone", {"adapter": {"type": "lora", "rank": 0}}, 400, "touchstone.adapter.rank", "invalid_value"),
        ("touchstone", {"adapter": {"type": "lora", "rnk": 8}}, 400, "touchstone.adapter.rnk", "unknown_parameter"),
        ("touchstone", {"max_completion_tokens": 512}, 400, "touchstone.max_completion_tokens", "invalid_value"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(
    http: httpx2.Client, body: Json, path: str, value: Any, status: int, param: str, code: str | None
) -> None:
    reply = http.post("/v1/fine_tuning/jobs", json=changed(body, path, value))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param), error
    assert code is None or error["code"] == code
    assert error["message"]


@pytest.mark.parametrize(
    ("grader", "param"),
    [
        ({"type": "python", "name": "p", "source": "def grade(sample): return 1"}, "source"),
        ({"type": "python", "name": "p", "source": "def grade(sample, item): return"+" 1" + "#" * 262_144}, "source"),
        ({"type": "multi", "name": "m", "graders": {"a": {"type": "riddle"}}, "calculate_output": "a"}, "graders.a.type"),
        ({"type": "multi", "name": "m", "graders": {}, "calculate_output": "1"}, "graders"),
        (
            {
                "type": "multi",
                "name": "m",
                "graders": {"a": {"type": "string_check", "name": "a", "input": "x", "reference": "y", "operation": "eq"}},
                "calculate_output": "a +* 2",
            },
            "calculate_output",
        ),
    ],
)  # fmt: skip
def test_a_wrong_grader_is_refused_by_its_field(http: httpx2.Client, body: Json, grader: Json, param: str) -> None:
    reply = http.post("/v1/fine_tuning/jobs", json=changed(body, f"{BLOCK}/grader", grader))
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == f"method.reinforcement.grader.{param}"


def test_a_refused_job_leaves_nothing(client: OpenAI, http: httpx2.Client, body: Json) -> None:
    before = client.fine_tuning.jobs.list(limit=1).data
    http.post("/v1/fine_tuning/jobs", json=changed(body, "validation_file", "file-unknown"))
    assert client.fine_tuning.jobs.list(limit=1).data == before


def test_a_file_of_another_purpose_is_refused(client: OpenAI, body: Json) -> None:
    file = client.files.create(file=("train.jsonl", b"{}\n"), purpose="user_data")
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(**{**body, "training_file": file.id})
    assert caught.value.param == "training_file"


def test_a_retried_create_returns_the_first_job(http: httpx2.Client, body: Json) -> None:
    sent = {**body, "metadata": {"retry": "same"}}
    first = http.post("/v1/fine_tuning/jobs", json=sent).json()
    again = http.post("/v1/fine_tuning/jobs", json=sent, headers={"x-stainless-retry-count": "1"}).json()
    assert again["id"] == first["id"]


def test_a_retried_create_with_another_body_is_a_new_job(http: httpx2.Client, body: Json) -> None:
    first = http.post("/v1/fine_tuning/jobs", json={**body, "metadata": {"retry": "one"}}).json()
    sent = {**body, "metadata": {"retry": "two"}}
    assert http.post("/v1/fine_tuning/jobs", json=sent, headers={"x-stainless-retry-count": "1"}).json()["id"] != first["id"]


def test_the_same_create_by_intent_is_a_new_job(http: httpx2.Client, body: Json) -> None:
    first, second = (http.post("/v1/fine_tuning/jobs", json=body, headers={"x-stainless-retry-count": "0"}) for _ in range(2))
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("GET", "/events"),
        ("GET", "/checkpoints"),
        ("GET", "/metrics"),
        ("GET", "/rollouts?step=1"),
        ("GET", "/checkpoints/best/weights"),
    ],
)
def test_foreign_and_unknown_jobs_do_not_exist(service, job: Any, method: str, path: str) -> None:
    with service.http("sk-the-key-of-another-project") as http:
        for job_id in (job.id, "ftjob-unknown"):
            reply = http.request(method, f"/v1/fine_tuning/jobs/{job_id}{path}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "fine_tune_not_found")
            assert reply.json()["error"]["param"] == "fine_tune_id"


def test_foreign_jobs_are_not_listed(foreign_client: OpenAI, job: Any) -> None:
    assert job.id not in [listed.id for listed in foreign_client.fine_tuning.jobs.list()]


def test_foreign_files_cannot_be_used(foreign_client: OpenAI, body: Json) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        foreign_client.fine_tuning.jobs.create(**body)
    assert caught.value.param == "training_file"
