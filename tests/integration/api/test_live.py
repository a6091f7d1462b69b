"""Watching jobs: the stream of one, the overview of all, thinned curves, and what a job would come to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from sqlalchemy import event

from core.jobs.plan import Hyperparameters, Options, resolve

from .conftest import ROWS

Json = dict[str, Any]
JOBS = "/v1/fine_tuning/jobs"
OVERVIEW = "/v1/fine_tuning/overview"


def messages(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """The (event, id, data) of a stream."""
    fields: Json = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def until_the_end(http: httpx2.Client, job_id: str, **options: Any) -> list[tuple[str, str, Any]]:
    with http.stream("GET", f"{JOBS}/{job_id}/stream", **options) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        return list(messages(reply.iter_lines()))


def test_the_stream_of_an_ended_job_is_its_history(http: httpx2.Client, client: OpenAI, run) -> None:
    run.step(0, 0.1)
    run.step(1, 0.5)
    client.fine_tuning.jobs.cancel(run.job_id)
    seen = until_the_end(http, run.job_id, params={"last_event_id": "0"})
    told = [data["message"] for name, _, data in seen if name == "event"]
    assert told == [item.message for item in reversed(client.fine_tuning.jobs.list_events(run.job_id, limit=100).data)]
    assert [int(number) for name, number, _ in seen if name == "event"] == list(range(1, len(told) + 1))
    assert seen[0][0] == "job"
    assert seen[-1] == ("end", str(len(told)), {"status": "cancelled"})


def test_the_stream_goes_on_after_the_last_event_seen(http: httpx2.Client, client: OpenAI, run) -> None:
    run.step(0, 0.1)
    client.fine_tuning.jobs.cancel(run.job_id)
    whole = [item for item in until_the_end(http, run.job_id, params={"last_event_id": "0"}) if item[0] == "event"]
    rest = until_the_end(http, run.job_id, headers={"last-event-id": whole[1][1]})
    assert [item for item in rest if item[0] == "event"] == whole[2:]


def test_without_an_id_the_stream_begins_now(http: httpx2.Client, client: OpenAI, run) -> None:
    client.fine_tuning.jobs.cancel(run.job_id)
    assert [name for name, _, _ in until_the_end(http, run.job_id)] == ["job", "end"]


def test_steps_and_states_come_as_they_happen(http: httpx2.Client, client: OpenAI, run) -> None:
    with http.stream("GET", f"{JOBS}/{run.job_id}/stream") as reply:
        stream = messages(reply.iter_lines())
        name, _, first = next(stream)
        assert (name, first["status"]) == ("job", "running")
        assert first["progress"] == {"step": 0, "total_steps": run.plan.total_steps}
        run.step(0, 0.25)
        step = next(data for name, _, data in stream if name == "event")
        assert step["data"]["train_mean_reward"] == 0.25
        client.fine_tuning.jobs.pause(run.job_id)
        assert next(data["status"] for name, _, data in stream if name == "job" and data["status"] != "running") == "paused"
        client.fine_tuning.jobs.cancel(run.job_id)
        assert list(stream)[-1][0] == "end"


def test_ten_watchers_cost_the_database_what_one_costs(http: httpx2.Client, service, client: OpenAI, run) -> None:
    queries: list[str] = []
    engine = service.context.lookups.database.engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "job_events" in statement and "seq >" in statement:
            queries.append(statement)

    ready, seen = threading.Barrier(11), []

    def watch() -> None:
        with service.http() as own, own.stream("GET", f"{JOBS}/{run.job_id}/stream") as reply:
            stream = messages(reply.iter_lines())
            next(stream)
            ready.wait(60)
            seen.append([data["message"] for name, _, data in stream if name == "event"])

    threads = [threading.Thread(target=watch) for _ in range(10)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    event.listen(engine, "before_cursor_execute", note)
    run.step(0, 0.5)
    client.fine_tuning.jobs.cancel(run.job_id)
    for thread in threads:
        thread.join(60)
    event.remove(engine, "before_cursor_execute", note)
    assert len(seen) == 10
    assert all(told == seen[0] and len(told) == 2 for told in seen)
    assert 1 <= len(queries) <= 2, "both events were read once for all, or one after the other"


@pytest.mark.parametrize("number", ["-1", "x", "1e3", "٣", "9" * 40])
def test_an_id_that_is_none_is_refused(http: httpx2.Client, run, number: str) -> None:
    assert http.get(f"{JOBS}/{run.job_id}/stream", params={"last_event_id": number}).status_code == 400


def test_an_id_from_the_future_is_now(http: httpx2.Client, client: OpenAI, run) -> None:
    client.fine_tuning.jobs.cancel(run.job_id)
    names = [name for name, _, _ in until_the_end(http, run.job_id, params={"last_event_id": "999999"})]
    assert names == ["job", "end"]


def test_a_foreign_job_has_no_stream(service, run) -> None:
    with service.http("sk-the-key-of-another-project") as foreign:
        assert foreign.get(f"{JOBS}/{run.job_id}/stream").status_code == 404


def test_the_overview_shows_how_far_jobs_are(http: httpx2.Client, run) -> None:
    run.step(0, 0.1)
    run.step(1, 0.7)
    newest = http.get(OVERVIEW, params={"limit": 1}).json()["data"][0]
    assert newest["id"] == run.job_id
    assert newest["progress"] == {
        "step": 1,
        "total_steps": run.plan.total_steps,
        "train_mean_reward": 0.7,
        "full_valid_mean_reward": None,
        "curve": {"train": [[0, 0.1], [1, 0.7]], "valid": []},
    }


def test_a_long_curve_is_short_in_the_overview_and_ends_where_it_ends(http: httpx2.Client, run) -> None:
    for number in range(101):
        run.step(number, number / 100)
    curve = http.get(OVERVIEW, params={"limit": 1}).json()["data"][0]["progress"]["curve"]["train"]
    assert 20 <= len(curve) <= 81
    assert curve[-1] == [100, 1.0]


def test_an_unchanged_overview_is_not_sent_again(http: httpx2.Client, run) -> None:
    tag = http.get(OVERVIEW).headers["etag"]
    assert http.get(OVERVIEW, headers={"if-none-match": tag}).status_code == 304
    run.step(0, 0.1)
    assert http.get(OVERVIEW, headers={"if-none-match": tag}).status_code == 200


def test_the_overview_is_filtered_by_status(http: httpx2.Client, client: OpenAI, run) -> None:
    statuses = [job["status"] for job in http.get(OVERVIEW, params={"status": ["running", "paused"]}).json()["data"]]
    assert "running" in statuses
    assert set(statuses) <= {"running", "paused"}
    assert http.get(OVERVIEW, params={"status": "unheard_of"}).status_code == 400


@pytest.mark.parametrize("part", ["suffix", "metadata", "id"])
def test_the_overview_is_searched(http: httpx2.Client, client: OpenAI, body: Json, part: str) -> None:
    mine = client.fine_tuning.jobs.create(**body, suffix="Needle_%-one", metadata={"team": "hay_%stack"})
    word = {"suffix": "needle_%", "metadata": "HAY_%s", "id": mine.id}[part]
    client.fine_tuning.jobs.create(**body, suffix="needleXXone", metadata={"team": "hayXXstack"})
    found = http.get(OVERVIEW, params={"search": word, "limit": 50}).json()["data"]
    assert mine.id in [job["id"] for job in found]
    assert all(job["user_provided_suffix"] == "Needle_%-one" for job in found)


def test_the_overview_is_read_page_by_page(http: httpx2.Client, client: OpenAI, body: Json) -> None:
    made = [client.fine_tuning.jobs.create(**body).id for _ in range(3)]
    first = http.get(OVERVIEW, params={"limit": 2}).json()
    assert first["has_more"]
    rest = http.get(OVERVIEW, params={"limit": 1, "after": first["data"][-1]["id"]}).json()
    assert [job["id"] for job in [*first["data"], *rest["data"]]] == made[::-1]


def test_the_overview_shows_no_foreign_job(service, run) -> None:
    with service.http("sk-the-key-of-another-project") as foreign:
        assert foreign.get(OVERVIEW).json()["data"] == []


def test_a_thinned_curve_has_no_more_points_than_asked_for(http: httpx2.Client, run) -> None:
    for number in range(61):
        run.step(number, 9.0 if number == 33 else 0.5)
    thin = http.get(f"{JOBS}/{run.job_id}/metrics", params={"max_points": 20}).json()
    steps = [step["step"] for step in thin["data"]]
    assert len(steps) <= 20
    assert {0, 33, 60} <= set(steps)
    assert thin["step"] == 60
    assert thin["data"][0]["scores"]["graders"], "the metrics are whole"


def test_a_plan_is_what_a_job_becomes(http: httpx2.Client, file_id: str) -> None:
    body = {
        "training_file": file_id,
        "validation_file": file_id,
        "hyperparameters": {"n_epochs": 3},
        "touchstone": {"top_p": 0.5},
    }
    plan = http.post("/v1/fine_tuning/plan", json=body).json()
    expected = resolve(
        Hyperparameters(n_epochs=3), Options.model_validate({"top_p": 0.5}), train_rows=len(ROWS), valid_rows=len(ROWS)
    )
    assert (plan["hyperparameters"], plan["touchstone"]) == (expected.hyperparameters(), expected.options())
    assert (plan["total_steps"], plan["training_rows"]) == (expected.total_steps, len(ROWS))


def test_a_plan_names_bad_lines(http: httpx2.Client, client: OpenAI) -> None:
    bad = client.files.create(file=("bad.jsonl", b'{"messages": []}\nno json\n'), purpose="fine-tune").id
    plan = http.post("/v1/fine_tuning/plan", json={"training_file": bad}).json()
    assert len(plan["problems"]["training_file"]) == 2


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"training_file": "file-unknown"}, "training_file"),
        ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size"),
        ({"touchstone": {"unheard_of": 1}}, "touchstone.unheard_of"),
    ],
)
def test_a_plan_that_cannot_be_names_the_field(http: httpx2.Client, file_id: str, change: Json, param: str) -> None:
    reply = http.post("/v1/fine_tuning/plan", json={"training_file": file_id, **change})
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["param"] == param
