"""Jobs that exist: listed, told of by their events, and steered."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

Json = dict[str, Any]


def test_the_list_is_newest_first_and_paged(strict_client: OpenAI, body: Json) -> None:
    jobs = [strict_client.fine_tuning.jobs.create(**body, metadata={"list": "paged"}).id for _ in range(5)]
    page = strict_client.fine_tuning.jobs.list(limit=2, metadata={"list": "paged"})
    assert [job.id for job in page.data] == jobs[:2:-1]
    assert [job.id for job in strict_client.fine_tuning.jobs.list(limit=2, metadata={"list": "paged"})] == jobs[::-1]


def test_the_list_can_be_filtered_by_metadata(client: OpenAI, body: Json) -> None:
    wanted = client.fine_tuning.jobs.create(**body, metadata={"owner": "a b&c", "run": "1"})
    client.fine_tuning.jobs.create(**body, metadata={"owner": "a b&c", "run": "2"})
    found = client.fine_tuning.jobs.list(metadata={"owner": "a b&c", "run": "1"})
    assert [job.id for job in found] == [wanted.id]


def test_an_empty_value_is_a_value_to_filter_by(client: OpenAI, body: Json) -> None:
    wanted = client.fine_tuning.jobs.create(**body, metadata={"empty": ""})
    client.fine_tuning.jobs.create(**body, metadata={"empty": "no"})
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"empty": ""})] == [wanted.id]


def test_jobs_without_metadata_can_be_listed(client: OpenAI, body: Json) -> None:
    wanted = client.fine_tuning.jobs.create(**body)
    client.fine_tuning.jobs.create(**body, metadata={"a": "b"})
    found = client.fine_tuning.jobs.list(limit=1, extra_query={"metadata": "null"})
    assert [job.id for job in found.data] == [wanted.id]


def test_the_list_ends_behind_the_oldest_job(client: OpenAI, body: Json) -> None:
    oldest = client.fine_tuning.jobs.create(**body, metadata={"list": "ends"})
    client.fine_tuning.jobs.create(**body, metadata={"list": "ends"})
    page = client.fine_tuning.jobs.list(after=oldest.id, metadata={"list": "ends"})
    assert (page.data, page.has_more) == ([], False)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?after=ftjob-unknown", "after"),
        ("?metadata=none", "metadata"),
        ("?metadata=null&metadata[a]=b", "metadata"),
        ("?" + "&".join(f"metadata[{n}]=" for n in range(17)), "metadata"),
        ("/{id}/events?limit=x", "limit"),
        ("/{id}/events?after=ftevent-unknown", "after"),
        ("/{id}/checkpoints?after=ftckpt_unknown", "after"),
        ("/{id}/metrics?after_step=x", "after_step"),
        ("/{id}/metrics?after_step=99999999999999999999", "after_step"),
        ("/{id}/metrics?format=xml", "format"),
        ("/{id}/rollouts", "step"),
        ("/{id}/rollouts?step=-1", "step"),
        ("/{id}/rollouts?step=1&split=test", "split"),
        ("/{id}/rollouts?step=1&after=x", "after"),
        ("/{id}/rollouts?step=1&after=train-1-0-0-0", "after"),
        ("/{id}/rollouts?step=1&include=secrets", "include[0]"),
        ("/{id}/checkpoints/best/weights?format=zip", "format"),
    ],
)
def test_a_wrong_query_names_its_parameter(http: httpx2.Client, job: Any, path: str, param: str) -> None:
    reply = http.get("/v1/fine_tuning/jobs" + path.format(id=job.id))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_events_are_newest_first_and_paged(strict_client: OpenAI, job: Any) -> None:
    first = strict_client.fine_tuning.jobs.list_events(job.id, limit=1)
    assert first.data[0].message.startswith("Validating training file: ")
    assert [event.message for event in strict_client.fine_tuning.jobs.list_events(job.id, limit=1)][-1] == (
        f"Created fine-tuning job: {job.id}"
    )


def test_a_job_can_be_paused_resumed_and_cancelled(client: OpenAI, run) -> None:
    assert client.fine_tuning.jobs.retrieve(run.job_id).status == "running"
    assert client.fine_tuning.jobs.pause(run.job_id).status == "paused"
    assert client.fine_tuning.jobs.resume(run.job_id).status == "queued"
    cancelled = client.fine_tuning.jobs.cancel(run.job_id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_command_at_the_wrong_time_is_a_400(client: OpenAI, job: Any, command: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        getattr(client.fine_tuning.jobs, command)(job.id)
    assert caught.value.code == "invalid_state"


def test_a_cancelled_job_cannot_be_cancelled_again(client: OpenAI, job: Any) -> None:
    client.fine_tuning.jobs.cancel(job.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.cancel(job.id)
    assert caught.value.code == "invalid_state"


def test_a_paused_job_takes_a_higher_budget(client: OpenAI, run) -> None:
    client.fine_tuning.jobs.pause(run.job_id)
    job = client.fine_tuning.jobs.resume(run.job_id, extra_body={"touchstone": {"budget_seconds": 900}})
    assert (job.status, job.touchstone["budget_seconds"]) == ("queued", 900)


@pytest.mark.parametrize("budget", [0, -1, "much", {}])
def test_a_budget_is_a_number_above_none(client: OpenAI, run, budget: Any) -> None:
    client.fine_tuning.jobs.pause(run.job_id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.resume(run.job_id, extra_body={"touchstone": {"budget_seconds": budget}})
    assert refused.value.param == "touchstone.budget_seconds"
