"""Kept rollouts found, sorted and grouped on the server."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.jobs.types import BatchRecord
from core.settings import DEFAULT_PROJECT
from core.storage.base import ObjectKey
from worker.rollouts import SCHEMA

Json = dict[str, Any]

URL = "/v1/fine_tuning/jobs"


def row(step: int, split: str, batch: int, example: int, sample: int, **changes: Any) -> Json:
    values = {
        "prompt": f"user: question {example}",
        "completion": "ab",
        "prompt_tokens": 9,
        "tokens": [1, 2],
        "logprobs": [-0.5, -0.25],
        "token_chars": [1, 1],
        "stop_reason": "stop",
        "seed": 2**64 - 1,
        "reward": 0.5,
        "parts": "{}",
        "usage": "{}",
        "grade_seconds": 0.01,
        "advantage": 0.0,
    }
    place = {"step": step, "split": split, "batch": batch, "example": example, "sample": sample}
    return {**place, **values, **changes}


def keep(run: Any, rows: list[Json]) -> None:
    first = rows[0]
    split, step, index = first["split"], first["step"], first["batch"]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink)
    key = ObjectKey.of(DEFAULT_PROJECT, "jobs", run.job_id, "rollouts", f"{split}-{step}-{index}")
    stored = run.context.objects.put(key, [sink.getvalue().to_pybytes()])
    run.journal.keep_batch(BatchRecord(split, step, index, str(key), stored.sha256, len(rows)))


@pytest.fixture
def sampled(run: Any) -> str:
    """A job with two batches of step 1: rewards 0.9, none, 0.1 of prompt 3 and 0.4, infinite of prompt 5."""
    failed = {"reward": None, "advantage": None, "error_kind": "endpoint", "error_details": "no answer"}
    keep(
        run,
        [
            row(
                1,
                "train",
                0,
                3,
                0,
                reward=0.9,
                completion="Grüße, 100%",
                tokens=[1, 2, 3],
                token_chars=[5, 2, 4],
                logprobs=[-1.0] * 3,
            ),
            row(1, "train", 0, 3, 1, **failed),
            row(1, "train", 0, 3, 2, reward=0.1, tokens=[1], logprobs=[-1.0], token_chars=[2]),
        ],
    )
    keep(run, [row(1, "train", 1, 5, 0, reward=0.4, completion="GRÜSSE"), row(1, "train", 1, 5, 1, reward=float("inf"))])
    keep(run, [row(1, "valid", 0, 3, 0)])
    keep(run, [row(2, "train", 0, 3, 0, completion="later")])
    return str(run.job_id)


def ids(http: httpx2.Client, job_id: str, **query: Any) -> list[str]:
    reply = http.get(f"{URL}/{job_id}/rollouts", params=query)
    assert reply.status_code == 200, reply.text
    return [rollout["id"] for rollout in reply.json()["data"]]


def test_the_best_come_first_and_those_without_a_reward_last(http: httpx2.Client, sampled: str) -> None:
    found = ids(http, sampled, step=1, split="train", order_by="-reward")
    assert found == ["train-1-0-3-0", "train-1-1-5-0", "train-1-0-3-2", "train-1-0-3-1", "train-1-1-5-1"]


def test_a_sorted_list_goes_on_where_its_page_ended(http: httpx2.Client, sampled: str) -> None:
    query = {"step": 1, "split": "train", "order_by": "reward"}
    first = ids(http, sampled, limit=2, **query)
    assert first + ids(http, sampled, after=first[-1], **query) == ids(http, sampled, **query)


def test_the_longest_come_first(http: httpx2.Client, sampled: str) -> None:
    assert ids(http, sampled, step=1, example=3, split="train", order_by="-length") == [
        "train-1-0-3-0",
        "train-1-0-3-1",
        "train-1-0-3-2",
    ]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        ("any", ["train-1-0-3-1"]),
        ("endpoint", ["train-1-0-3-1"]),
        ("other", []),
        ("none", ["train-1-0-3-0", "train-1-0-3-2"]),
    ],
)
def test_rollouts_are_found_by_what_befell_them(http: httpx2.Client, sampled: str, error: str, found: list[str]) -> None:
    assert ids(http, sampled, step=1, split="train", example=3, error=error) == found


@pytest.mark.parametrize(("text", "found"), [("GRÜSSE", 1), ("grü", 2), ("100%", 1), ("question 5", 2), ("gr.", 0)])
def test_rollouts_are_found_by_their_text(http: httpx2.Client, sampled: str, text: str, found: int) -> None:
    assert len(ids(http, sampled, step=1, split="train", contains=text)) == found


def test_one_prompt_is_followed_over_the_steps(http: httpx2.Client, sampled: str) -> None:
    first = ids(http, sampled, example=3, limit=3)
    assert first == ["train-1-0-3-0", "train-1-0-3-1", "train-1-0-3-2"]
    assert ids(http, sampled, example=3, after=first[-1]) == ["train-2-0-3-0"]


def test_all_rollouts_of_a_job_need_a_step(http: httpx2.Client, sampled: str) -> None:
    reply = http.get(f"{URL}/{sampled}/rollouts")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "step")


def test_tokens_come_with_their_texts(http: httpx2.Client, sampled: str) -> None:
    reply = http.get(f"{URL}/{sampled}/rollouts", params={"step": 1, "include": "tokens", "limit": 1}).json()["data"][0]
    assert (reply["token_texts"], reply["completion_tokens"]) == (["Grüße", ", ", "100%"], 3)


def test_a_rollout_kept_without_its_spelling_has_no_token_texts(http: httpx2.Client, run: Any) -> None:
    keep(run, [row(1, "train", 0, 0, 0, token_chars=None)])
    reply = http.get(f"{URL}/{run.job_id}/rollouts", params={"step": 1, "include": "tokens"}).json()["data"][0]
    assert reply["token_texts"] is None


def test_groups_sum_up_their_members(http: httpx2.Client, sampled: str) -> None:
    first, second = http.get(f"{URL}/{sampled}/rollouts/groups", params={"step": 1}).json()["data"]
    assert (first["example"], first["samples"], first["errors"], first["completion_tokens_mean"]) == (3, 3, 1, 2.0)
    assert (first["reward_mean"], first["reward_min"], first["reward_max"]) == (0.5, 0.1, 0.9)
    assert (second["reward_mean"], second["prompt"]) == (0.4, "user: question 5")


def test_groups_are_read_page_by_page(http: httpx2.Client, sampled: str) -> None:
    first = http.get(f"{URL}/{sampled}/rollouts/groups", params={"step": 1, "limit": 1}).json()
    second = http.get(f"{URL}/{sampled}/rollouts/groups", params={"step": 1, "after": first["last_id"]}).json()
    assert [group["example"] for page in (first, second) for group in page["data"]] == [3, 5]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_the_sampled_steps_are_known(http: httpx2.Client, sampled: str) -> None:
    steps = http.get(f"{URL}/{sampled}/rollouts/steps").json()["data"]
    assert [(step["step"], step["split"], step["samples"]) for step in steps] == [
        (1, "train", 5),
        (1, "valid", 1),
        (2, "train", 1),
    ]


@pytest.mark.parametrize("path", ["?step=1", "?example=3", "/groups?step=1", "/steps"])
def test_rollouts_of_other_projects_are_not_found(service: Any, sampled: str, path: str) -> None:
    with service.http("sk-the-key-of-another-project") as http:
        assert http.get(f"{URL}/{sampled}/rollouts{path}").status_code == 404


def test_a_file_is_checked_as_a_job_would(http: httpx2.Client) -> None:
    good = json.dumps({"messages": [{"role": "user", "content": "?"}]})
    content = f"{good}\n{{}}\nno json\n".encode()
    file_id = http.post("/v1/files", files={"file": ("x.jsonl", content)}, data={"purpose": "fine-tune"}).json()["id"]
    report = http.get(f"/v1/files/{file_id}/check").json()
    assert (report["usable"], report["rows"], [problem["line"] for problem in report["problems"]]) == (False, 1, [2, 3])


def test_rows_of_a_file_are_shown_with_what_is_wrong(http: httpx2.Client) -> None:
    content = b'{"a": 1}\nno json\n{"a": 3}\n'
    file_id = http.post("/v1/files", files={"file": ("x.jsonl", content)}, data={"purpose": "fine-tune"}).json()["id"]
    reply = http.get(f"/v1/files/{file_id}/rows", params={"start": 0, "limit": 2}).json()
    assert [(found["value"], found["line"]) for found in reply["data"]] == [({"a": 1}, 1), (None, 2)]
    assert "valid JSON" in reply["data"][1]["problem"]
    assert reply["has_more"]
    assert http.get(f"/v1/files/{file_id}/rows", params={"start": 2}).json()["data"][0]["value"] == {"a": 3}


@pytest.mark.parametrize("path", ["check", "rows"])
def test_files_of_other_projects_are_not_found(service: Any, file_id: str, path: str) -> None:
    with service.http("sk-the-key-of-another-project") as http:
        assert http.get(f"/v1/files/{file_id}/{path}").status_code == 404
