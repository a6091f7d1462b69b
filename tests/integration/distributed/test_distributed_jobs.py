"""A job through two API processes and two workers, with Redis and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.jobs.types import JobStatus
from tests.cluster import Cluster, RedisServer
from tests.service import HAS_AN_A, rows
from worker.celery_app import GPU_QUEUE, LIGHT_QUEUE, celery_app
from worker.tasks import Doorbells

HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 2, "eval_interval": 2}
OPTIONS = {"samples_per_prompt": 2, "max_completion_tokens": 6}


def submit(cluster: Cluster, api: str) -> str:
    """A new job, created as clients create them."""
    with cluster.client(api) as client:
        content = "".join(f"{json.dumps(row)}\n" for row in rows(4)).encode()
        file = client.files.create(file=("rows.jsonl", content), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="tiny",
            training_file=file.id,
            method={"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A, "hyperparameters": HYPERPARAMETERS}},
            extra_body={"touchstone": OPTIONS},
        )
        return job.id


@pytest.fixture(scope="module")
def finished(cluster: Cluster) -> str:
    """The id of a job that was created at one API and has run to its end."""
    job_id = submit(cluster, "api-1")
    cluster.wait_for_end(job_id)
    return job_id


def as_told(cluster: Cluster, api: str, job_id: str) -> Any:
    with cluster.client(api) as client:
        return client.fine_tuning.jobs.retrieve(job_id), client.fine_tuning.jobs.list_events(job_id, limit=100).data


def test_job_succeeds(cluster: Cluster, finished: str) -> None:
    job, _ = as_told(cluster, "api-2", finished)
    assert job.status == "succeeded", f"{job.error} {cluster.log()}"


def test_both_apis_tell_the_same_of_it(cluster: Cluster, finished: str) -> None:
    assert as_told(cluster, "api-1", finished) == as_told(cluster, "api-2", finished)


def test_everything_in_its_history_happened_once(cluster: Cluster, finished: str) -> None:
    messages = [event.message for event in cluster.history(finished) if event.type == "message"]
    assert sorted(messages) == sorted(set(messages))


def test_old_messages_for_a_finished_job_change_nothing(cluster: Cluster, redis_server: RedisServer, finished: str) -> None:
    before = cluster.tables(finished)
    doorbells = Doorbells(celery_app(redis_server.url), redis_server.url)
    for _ in range(3):
        doorbells.run(finished)
        doorbells.validate(finished)
    cluster.wait(lambda: doorbells.waiting(GPU_QUEUE) == doorbells.waiting(LIGHT_QUEUE) == 0)
    assert cluster.tables(finished) == before


@pytest.fixture
def no_redis(cluster: Cluster, redis_server: RedisServer) -> Iterator[None]:
    redis_server.kill()
    yield
    redis_server.start()


@pytest.mark.usefixtures("no_redis")
def test_job_succeeds_while_redis_is_gone_all_the_time(cluster: Cluster) -> None:
    job = cluster.wait_for_end(submit(cluster, "api-2"))
    assert job.status is JobStatus.SUCCEEDED, f"{job.error} {cluster.log()}"
