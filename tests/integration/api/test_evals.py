"""`/v1/evals`: the validations of a job, read as OpenAI shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openai import OpenAI

from core.jobs.types import BatchRecord
from core.storage.base import ObjectKey
from worker.rollouts import SCHEMA

Json = dict[str, Any]


def keep(run: Any, step: int, index: int, outcomes: list[Json]) -> None:
    """Keep a validation batch with one row for each outcome: its `reward`, `parts`, or `error_kind`."""
    blank = {"completion": "14", "prompt": "user: What is 7 + 7?", "prompt_tokens": 9, "tokens": [1, 2], "logprobs": [-0.5, -0.1]}
    fixed = {"step": step, "split": "valid", "batch": index, "sample": 0, "stop_reason": "stop", "seed": 2**63, "parts": "{}"}
    rows = [{**blank, **fixed, "example": index * len(outcomes) + i, **outcome} for i, outcome in enumerate(outcomes)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink)
    key = ObjectKey.of("proj_default", "jobs", run.job_id, "rollouts", f"valid-{step}-{index}")
    stored = run.context.objects.put(key, [sink.getvalue().to_pybytes()])
    run.journal.keep_batch(BatchRecord("valid", step, index, str(key), stored.sha256, len(rows)))


PASS, FAIL, ERROR = {"reward": 1.0}, {"reward": 0.0}, {"reward": None, "error_kind": "other", "error_details": "no luck"}


@pytest.fixture
def validated(run) -> Any:
    """A running job that has been validated twice, the second time not to the end."""
    keep(run, 0, 0, [FAIL, FAIL, PASS, ERROR])
    keep(run, 0, 1, [PASS, FAIL, PASS, PASS])
    run.step(0, 0.5)
    keep(run, 4, 0, [PASS, PASS, PASS, PASS])
    return run


@pytest.fixture
def eval_id(client: OpenAI, validated) -> str:
    return client.fine_tuning.jobs.retrieve(validated.job_id).model_extra["eval_id"]


def test_a_job_has_its_eval_once_it_has_started(client: OpenAI, body: Json, eval_id: str) -> None:
    assert eval_id.startswith("eval_")
    assert client.fine_tuning.jobs.create(**body).model_extra["eval_id"] is None


def test_an_eval_tells_what_is_graded(strict_client: OpenAI, eval_id: str, validated) -> None:
    found = strict_client.evals.retrieve(eval_id)
    assert (found.object, found.metadata) == ("eval", {"fine_tuning_job_id": validated.job_id})
    (criterion,) = found.testing_criteria
    assert (criterion.name, criterion.operation, criterion.model_extra["pass_threshold"]) == ("exact", "eq", 0.5)
    assert found.id in [listed.id for listed in strict_client.evals.list()]


def test_evals_are_paged_in_both_orders(strict_client: OpenAI, eval_id: str) -> None:
    newest = strict_client.evals.list(order="desc", limit=1)
    assert [newest.data[0].id, newest.has_more] == [eval_id, True]
    backwards = [found.id for found in strict_client.evals.list(order="desc", limit=1)]
    assert [found.id for found in strict_client.evals.list(order="asc", limit=2)] == backwards[::-1]


def test_a_run_counts_what_passed(strict_client: OpenAI, eval_id: str) -> None:
    first, second = strict_client.evals.runs.list(eval_id)
    assert first.result_counts.to_dict() == {"total": 8, "passed": 4, "failed": 3, "errored": 1}
    assert (first.status, second.status) == ("completed", "in_progress")
    (criterion,) = first.per_testing_criteria_results
    assert (criterion.testing_criteria.startswith("exact-"), criterion.passed, criterion.failed) == (True, 4, 4)
    assert first.per_model_usage[0].to_dict() == {
        "model_name": "tiny",
        "invocation_count": 8,
        "prompt_tokens": 72,
        "completion_tokens": 16,
        "cached_tokens": 0,
        "total_tokens": 88,
    }
    assert strict_client.evals.runs.retrieve(first.id, eval_id=eval_id).to_dict() == first.to_dict()


def test_a_run_names_the_model_it_validated(strict_client: OpenAI, eval_id: str, validated) -> None:
    first, second = strict_client.evals.runs.list(eval_id)
    assert first.model == "tiny"
    assert second.model.startswith("ft:tiny:local::")
    assert second.model.endswith(":ckpt-step-4")


@pytest.mark.parametrize(
    ("status", "steps"), [("completed", [0]), ("in_progress", [4]), ("failed", []), ("canceled", []), ("queued", [])]
)
def test_runs_can_be_filtered_by_status(strict_client: OpenAI, eval_id: str, status: Any, steps: list[int]) -> None:
    assert [run.metadata["step"] for run in strict_client.evals.runs.list(eval_id, status=status)] == [str(s) for s in steps]


def test_a_validation_that_its_job_did_not_survive_is_canceled(client: OpenAI, eval_id: str, validated) -> None:
    client.fine_tuning.jobs.cancel(validated.job_id)
    assert [run.status for run in client.evals.runs.list(eval_id)] == ["completed", "canceled"]


def test_runs_are_paged_in_both_orders(strict_client: OpenAI, eval_id: str) -> None:
    forwards = [run.id for run in strict_client.evals.runs.list(eval_id, limit=1)]
    backwards = [run.id for run in strict_client.evals.runs.list(eval_id, limit=1, order="desc")]
    assert (len(forwards), forwards) == (2, backwards[::-1])


def test_an_output_item_shows_row_completion_and_grade(strict_client: OpenAI, eval_id: str) -> None:
    run_id = strict_client.evals.runs.list(eval_id).data[0].id
    items = strict_client.evals.runs.output_items.list(run_id, eval_id=eval_id).data
    assert [item.status for item in items] == ["fail", "fail", "pass", "error", "pass", "fail", "pass", "pass"]
    item = items[2]
    assert (item.datasource_item_id, item.datasource_item["answer"]) == (2, "4")
    assert [message.to_dict() for message in item.sample.input] == [{"role": "user", "content": "What is 2 + 2?"}]
    assert item.sample.output[0].to_dict() == {"role": "assistant", "content": "14"}
    assert (item.sample.finish_reason, item.sample.seed, item.sample.usage.total_tokens) == ("stop", 2**63, 11)
    assert (item.results[0].score, item.results[0].passed, item.results[0].type) == (1.0, True, "string_check")
    again = strict_client.evals.runs.output_items.retrieve(item.id, eval_id=eval_id, run_id=run_id)
    assert again.to_dict() == item.to_dict()


def test_a_sample_without_a_grade_says_so(strict_client: OpenAI, eval_id: str) -> None:
    run_id = strict_client.evals.runs.list(eval_id).data[0].id
    item = strict_client.evals.runs.output_items.list(run_id, eval_id=eval_id).data[3]
    assert (item.results[0].score, item.results[0].passed, item.results[0].model_extra["error"]) == (0.0, False, "no luck")


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_output_items_are_paged_in_both_orders(strict_client: OpenAI, eval_id: str, limit: int) -> None:
    run_id = strict_client.evals.runs.list(eval_id).data[0].id
    listing = strict_client.evals.runs.output_items.list
    forwards = [item.id for item in listing(run_id, eval_id=eval_id, limit=limit)]
    backwards = [item.id for item in listing(run_id, eval_id=eval_id, limit=limit, order="desc")]
    assert (len(set(forwards)), forwards) == (8, backwards[::-1])


@pytest.mark.parametrize(("status", "count"), [("pass", 4), ("fail", 3)])
def test_output_items_can_be_filtered(strict_client: OpenAI, eval_id: str, status: Any, count: int) -> None:
    run_id = strict_client.evals.runs.list(eval_id).data[0].id
    items = list(strict_client.evals.runs.output_items.list(run_id, eval_id=eval_id, status=status, limit=2))
    assert [item.status for item in items] == [status] * count


def test_members_of_a_multi_grader_are_the_criteria(strict_client: OpenAI, client: OpenAI, body: Json, make_run) -> None:
    member = {"type": "string_check", "input": "{{sample.output_text}}", "reference": "x", "operation": "eq"}
    similarity = {"type": "text_similarity", "input": "a", "reference": "b", "evaluation_metric": "bleu", "pass_threshold": 0.9}
    body["method"]["reinforcement"]["grader"] = {
        "type": "multi",
        "graders": {"a": {**member, "name": "first"}, "b": {**similarity, "name": "second"}},
        "calculate_output": "0.5 * a + 0.5 * b",
        "pass_threshold": 0.8,
    }
    run = make_run(client.fine_tuning.jobs.create(**body).id)
    parts = [{"a": {"reward": 1.0}, "b": {"reward": 0.8}}, {"a": {"reward": 1.0}, "b": {"error": "other", "details": "odd"}}]
    keep(run, 0, 0, [{"reward": 0.9, "parts": json.dumps(parts[0])}, {**ERROR, "parts": json.dumps(parts[1])}])
    run.step(0, 0.5)
    eval_id = run.job.eval_id
    thresholds = [c.to_dict()["pass_threshold"] for c in strict_client.evals.retrieve(eval_id).testing_criteria]
    (found,) = strict_client.evals.runs.list(eval_id).data
    items = strict_client.evals.runs.output_items.list(found.id, eval_id=eval_id).data
    assert thresholds == [0.5, 0.9]
    assert [(c.passed, c.failed) for c in found.per_testing_criteria_results] == [(2, 0), (0, 2)]
    assert found.result_counts.to_dict() == {"total": 2, "passed": 1, "failed": 0, "errored": 1}
    assert [[result.score for result in item.results] for item in items] == [[0.9, 1.0, 0.8], [0.0, 1.0, 0.0]]


def test_a_deleted_validation_file_leaves_the_prompt(strict_client: OpenAI, client: OpenAI, body: Json, make_run) -> None:
    rows = b"".join(json.dumps({"messages": [{"role": "user", "content": str(n)}]}).encode() + b"\n" for n in range(16))
    file_id = client.files.create(file=("valid.jsonl", rows), purpose="fine-tune").id
    run = make_run(client.fine_tuning.jobs.create(**{**body, "validation_file": file_id}).id)
    keep(run, 0, 0, [PASS])
    client.files.delete(file_id)
    run_id = client.evals.runs.list(run.job.eval_id).data[0].id
    (item,) = strict_client.evals.runs.output_items.list(run_id, eval_id=run.job.eval_id).data
    assert (item.datasource_item, item.sample.input[0].content) == ({}, "user: What is 7 + 7?")


def test_headers_are_masked_in_the_criteria(http: httpx2.Client, client: OpenAI, body: Json, make_run) -> None:
    grader = body["method"]["reinforcement"]["grader"]
    body["method"]["reinforcement"]["grader"] = {**grader, "headers": {"Authorization": "Bearer sesame"}}
    run = make_run(client.fine_tuning.jobs.create(**body).id)
    keep(run, 0, 0, [PASS])
    base = f"/v1/evals/{run.job.eval_id}"
    run_id = client.evals.runs.list(run.job.eval_id).data[0].id
    for path in (base, "/v1/evals?limit=100", f"{base}/runs", f"{base}/runs/{run_id}/output_items"):
        assert "sesame" not in http.get(path).text
    assert http.get(base).json()["testing_criteria"][0]["headers"] == {"Authorization": "**********"}


def test_a_job_without_validation_has_no_eval(client: OpenAI, body: Json, make_run) -> None:
    run = make_run(client.fine_tuning.jobs.create(**{**body, "validation_file": None}).id)
    assert run.job.eval_id is None


READS: dict[str, Callable[[OpenAI, str, str, str], Any]] = {
    "eval": lambda client, eval_id, run_id, item_id: client.evals.retrieve(eval_id),
    "runs": lambda client, eval_id, run_id, item_id: client.evals.runs.list(eval_id),
    "run": lambda client, eval_id, run_id, item_id: client.evals.runs.retrieve(run_id, eval_id=eval_id),
    "items": lambda client, eval_id, run_id, item_id: client.evals.runs.output_items.list(run_id, eval_id=eval_id),
    "item": lambda client, eval_id, run_id, item_id: client.evals.runs.output_items.retrieve(
        item_id, eval_id=eval_id, run_id=run_id
    ),
}


@pytest.mark.parametrize("read", READS)
def test_foreign_evals_do_not_exist(client: OpenAI, foreign_client: OpenAI, eval_id: str, read: str) -> None:
    run_id = client.evals.runs.list(eval_id).data[0].id
    item_id = client.evals.runs.output_items.list(run_id, eval_id=eval_id).data[0].id
    assert READS[read](client, eval_id, run_id, item_id)
    with pytest.raises(openai.NotFoundError) as caught:
        READS[read](foreign_client, eval_id, run_id, item_id)
    assert caught.value.code == "eval_not_found"
    assert foreign_client.evals.list().data == []


@pytest.mark.parametrize(
    ("wrong_run", "wrong_item"),
    [
        ("evalrun_x-0", "x"),
        ("{run}9", "x"),
        ("evalrun_0", "x"),
        ("{run}", "x"),
        ("{run}", "{item}9"),
        ("{run}", "outputitem_x-0-0-0"),
    ],
)
def test_unknown_runs_and_items_do_not_exist(
    http: httpx2.Client, client: OpenAI, eval_id: str, wrong_run: str, wrong_item: str
) -> None:
    run_id = client.evals.runs.list(eval_id).data[0].id
    item_id = client.evals.runs.output_items.list(run_id, eval_id=eval_id).data[0].id
    path = f"/v1/evals/{eval_id}/runs/{wrong_run}/output_items/{wrong_item}".format(run=run_id, item=item_id)
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["?after=eval_x", "/{eval}/runs?after=evalrun_x-0", "/{eval}/runs?after={run}7", "/{eval}/runs/{run}/output_items?after=x"],
)
def test_unknown_cursors_are_refused(http: httpx2.Client, client: OpenAI, eval_id: str, path: str) -> None:
    run_id = client.evals.runs.list(eval_id).data[0].id
    reply = http.get("/v1/evals" + path.format(eval=eval_id, run=run_id))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "after")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("POST", "/eval_x"),
        ("DELETE", "/eval_x"),
        ("POST", "/eval_x/runs"),
        ("POST", "/eval_x/runs/evalrun_x"),
        ("DELETE", "/eval_x/runs/evalrun_x"),
    ],
)
def test_evals_can_only_be_read(http: httpx2.Client, anonymous: httpx2.Client, method: str, path: str) -> None:
    reply = http.request(method, f"/v1/evals{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported")
    assert anonymous.request(method, f"/v1/evals{path}").status_code == 401
