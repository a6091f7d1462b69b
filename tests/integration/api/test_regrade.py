"""A job's kept rollouts under another grader, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from core.jobs.types import BatchRecord
from core.settings import DEFAULT_PROJECT
from core.storage.base import ObjectKey
from graders.base import Grade
from worker.rollout.base import Completion, StopReason
from worker.rollouts import Batch, Rollout, write

from .conftest import GRADER, ROWS, Run, Service, jsonl

Json = dict[str, Any]
LENGTH: Json = {"type": "python", "name": "length", "source": "def grade(sample, item):\n    return len(sample['output_text'])\n"}
LIKE: Json = {**GRADER, "name": "like", "operation": "like"}
BREAKS: Json = {
    "type": "python",
    "name": "breaks",
    "source": "def grade(sample, item):\n    return 1 / (item['answer'] != '2')\n",
}
TEXTS = ("2", "4", "<think>so</think>\n2", "")


def keep(run: Run, step: int, split: str = "train", examples: int = 4, texts: tuple[str, ...] = TEXTS) -> None:
    """Keep a batch as a job graded by `GRADER` does: for each of these examples these texts."""
    rollouts = tuple(
        Rollout(
            example=example,
            sample=number,
            seed=0,
            prompt=f"user: {example}",
            prompt_tokens=3,
            text=text,
            completion=Completion((1,), (0.0,), StopReason.STOP),
            result=Grade(float(text == ROWS[example]["answer"])),
            advantage=0.0,
        )
        for example in range(examples)
        for number, text in enumerate(texts)
    )
    key = ObjectKey.of(DEFAULT_PROJECT, "jobs", run.job_id, "rollouts", f"{split}-{step}-0")
    stored = run.context.objects.put(key, [write(Batch(split, step, 0, rollouts))])
    run.journal.keep_batch(BatchRecord(split, step, 0, str(key), stored.sha256, len(rollouts)))  # type: ignore[arg-type]


def regrade(http: httpx2.Client, run: Run, **body: Any) -> httpx2.Response:
    return http.post(f"/v1/fine_tuning/jobs/{run.job_id}/regrade", json={"grader": LIKE, **body})


def test_the_same_grader_changes_nothing(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, texts=("2", "4", "6"))
    found = regrade(http, run, grader=GRADER).json()
    assert (found["same_reward"], found["same_order"], found["kendall_tau"], found["ranked_groups"]) == (1.0, 1.0, 1.0, 3)
    assert (found["changed"], found["failed"], found["before"]) == ([], [], found["after"])


def test_means_ranks_and_spread_are_compared(http: httpx2.Client, run: Run) -> None:
    keep(run, 1)
    found = regrade(http, run, grader=LENGTH).json()
    assert (found["samples"], found["groups"], found["steps"], found["split"]) == (16, 4, [1], "train")
    assert found["before"] == {"graded": 16, "reward_mean": 2 / 16, "groups_with_spread": 2, "errors": {}}
    assert found["after"] == {"graded": 16, "reward_mean": 0.75, "groups_with_spread": 4, "errors": {}}
    assert found["ranked_groups"] == 2


def test_the_samples_that_changed_most_come_first(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, examples=2, texts=("a", "bbbbb", "2", "cc"))
    changed = regrade(http, run, grader=LENGTH, top=3).json()["changed"]
    assert [(sample["id"], sample["reward_before"], sample["reward_after"]) for sample in changed] == [
        ("train-1-0-0-1", 0.0, 5.0),
        ("train-1-0-1-1", 0.0, 5.0),
        ("train-1-0-0-3", 0.0, 2.0),
    ]
    assert changed[0]["completion"] == "bbbbb"


def test_long_texts_are_cut_in_their_middle(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, examples=1, texts=("a" * 5000 + "z", "b"))
    completion = regrade(http, run, grader=LENGTH).json()["changed"][0]["completion"]
    assert len(completion) < 500
    assert completion.startswith("aaa")
    assert completion.endswith("az")


def test_reasoning_is_no_part_of_what_is_graded(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, examples=1, texts=("<think>2 or 4?</think>2",))
    assert regrade(http, run, grader={**GRADER, "reference": "2"}).json()["after"]["reward_mean"] == 1.0


def test_failures_are_counted_and_shown(http: httpx2.Client, run: Run) -> None:
    keep(run, 1)
    found = regrade(http, run, grader=BREAKS, top=2).json()
    assert found["after"]["errors"] == {"python_grader_runtime_error": 4}
    assert (found["after"]["graded"], found["after"]["reward_mean"]) == (12, 1.0)
    assert [sample["id"] for sample in found["failed"]] == ["train-1-0-1-0", "train-1-0-1-1"]
    assert found["failed"][0]["reward_after"] is None
    assert "ZeroDivisionError" in found["failed"][0]["error"]["details"]


@pytest.mark.parametrize(("step", "steps"), [("last", [3]), ("all", [1, 3]), (1, [1])])
def test_steps_are_chosen(http: httpx2.Client, run: Run, step: object, steps: list[int]) -> None:
    keep(run, 1)
    keep(run, 3)
    keep(run, 4, "valid")
    assert regrade(http, run, step=step).json()["steps"] == steps


def test_validation_rollouts_are_graded_with_rows_of_the_validation_file(http: httpx2.Client, run: Run) -> None:
    keep(run, 0, "valid", examples=2)
    found = regrade(http, run, split="valid").json()
    assert (found["split"], found["steps"], found["samples"]) == ("valid", [0], 8)


def test_progress_is_streamed_before_the_report(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, examples=16, texts=TEXTS * 2)
    reply = regrade(http, run, stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *progress, report = [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line]
    assert [(told["graded"], told["total"]) for told in progress] == [(64, 128), (128, 128)]
    assert report == regrade(http, run).json()


def test_the_job_stays_as_it_is(http: httpx2.Client, run: Run, service: Service) -> None:
    keep(run, 1)
    url = f"/v1/fine_tuning/jobs/{run.job_id}"
    before = [http.get(path).json() for path in (url, f"{url}/events", f"{url}/rollouts?step=1", f"{url}/metrics")]
    regrade(http, run, grader=LENGTH)
    assert [http.get(path).json() for path in (url, f"{url}/events", f"{url}/rollouts?step=1", f"{url}/metrics")] == before


def test_secrets_of_the_grader_are_masked(http: httpx2.Client, run: Run) -> None:
    keep(run, 1, examples=1)
    endpoint = {"type": "endpoint", "name": "e", "url": "https://203.0.113.1/", "headers": {"authorization": "secret"}}
    found = regrade(http, run, grader={**LIKE, "headers": {"authorization": "secret"}}).json()
    assert found["grader"]["headers"] == {"authorization": "**********"}
    assert regrade(http, run, grader=endpoint).json()["error"]["param"] == "grader.url"


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"grader": {"type": "riddle"}}, 400, "grader.type"),
        ({"grader": None}, 400, "grader"),
        ({"step": -1}, 400, "step"),
        ({"step": "first"}, 400, "step"),
        ({"split": "test"}, 400, "split"),
        ({"top": 1000}, 400, "top"),
        ({"surprise": 1}, 400, "surprise"),
        ({"step": 7}, 400, "step"),
        ({"split": "valid"}, 400, "step"),
    ],
)
def test_bad_bodies_are_refused(http: httpx2.Client, run: Run, asked: Json, status: int, param: str) -> None:
    keep(run, 1, examples=1)
    reply = regrade(http, run, **asked)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


def test_too_many_rollouts_for_one_call_are_refused(http: httpx2.Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.jobs.regrade.MAX_ROLLOUTS", 20)
    keep(run, 1)
    keep(run, 2)
    assert regrade(http, run, step="all").json()["error"]["code"] == "too_many_rollouts"
    assert regrade(http, run, step=2).status_code == 200


def test_a_deleted_data_file_is_named(http: httpx2.Client, client: OpenAI, body: Json, make_run: Any) -> None:
    own = client.files.create(file=("own.jsonl", jsonl(ROWS)), purpose="fine-tune").id
    run = make_run(client.fine_tuning.jobs.create(**{**body, "training_file": own}).id)
    keep(run, 1)
    client.files.delete(own)
    reply = regrade(http, run)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "file_not_found")
    assert own in reply.json()["error"]["message"]


def test_jobs_of_other_projects_are_unknown(run: Run, foreign_client: OpenAI) -> None:
    keep(run, 1)
    url = f"{foreign_client.base_url}fine_tuning/jobs/{run.job_id}/regrade"
    reply = httpx2.post(url, json={"grader": LIKE}, headers=foreign_client.auth_headers)
    assert reply.status_code == 404


def test_completions_of_a_job_with_a_response_format_are_graded_as_json(
    http: httpx2.Client, client: OpenAI, body: Json, make_run: Any
) -> None:
    method = {
        "type": "reinforcement",
        "reinforcement": {**body["method"]["reinforcement"], "response_format": {"type": "json_object"}},
    }
    run = make_run(client.fine_tuning.jobs.create(**{**body, "method": method}).id)
    keep(run, 1, examples=1, texts=('{"a": 2}', '{"a": '))
    found = regrade(http, run, grader={**GRADER, "input": "{{sample.output_json.a}}", "reference": "2"}).json()
    assert (found["after"]["graded"], found["after"]["reward_mean"]) == (1, 1.0)
    assert found["after"]["errors"] == {"sample_parse_error": 1}
