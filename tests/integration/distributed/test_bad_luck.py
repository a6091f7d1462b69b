"""What a distributed service must bear: Redis emptied, two schedulers, a worker killed, messages as the only sign."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest

from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.types import Job, JobCommand, JobStatus
from core.jobs.validation import validate
from tests.cluster import KEY, Cluster, RedisServer
from tests.models import tiny_model
from tests.service import PATIENCE_SECONDS, Outcome, Service, kill, rows
from worker.celery_app import celery_app
from worker.tasks import Doorbells

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

SHORT: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 1, "batch_size": 2, "eval_interval": 2},
    "options": {"samples_per_prompt": 2, "max_completion_tokens": 6},
}
LONG: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 10, "batch_size": 2, "eval_interval": 10},
    "options": {"samples_per_prompt": 4, "max_completion_tokens": 24},
}


def succeeded(cluster: Cluster, job: Job) -> None:
    ended = cluster.wait_for_end(job.id)
    assert ended.status is JobStatus.SUCCEEDED, f"{ended.error} {cluster.log()}"


def test_redis_is_flushed_in_the_middle_of_a_job(cluster: Cluster, redis_server: RedisServer) -> None:
    running = cluster.create(train=rows(4), **LONG)
    with redis_server.client() as client:
        for step in range(1, 3):
            cluster.wait_for_step(running.id, step)
            client.flushall()
    after = cluster.create(train=rows(4), **SHORT)
    for job in (running, after):
        succeeded(cluster, job)


@pytest.fixture
def second_scheduler(cluster: Cluster) -> Iterator[None]:
    cluster.start("scheduler-2", "scheduler")
    yield
    cluster.stop("scheduler-2")


@pytest.mark.usefixtures("second_scheduler")
def test_two_schedulers_make_nothing_happen_twice(cluster: Cluster) -> None:
    jobs = [cluster.create(train=rows(4), **SHORT) for _ in range(2)]
    for job in jobs:
        succeeded(cluster, job)
        messages = [event.message for event in cluster.history(job.id) if event.type == "message"]
        assert sorted(messages) == sorted(set(messages))
        assert cluster.jobs.get(job.id).lease_epoch == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """What becomes of the longer job where nothing happens, in embedded mode."""
    directory = tmp_path_factory.mktemp("embedded")
    service = Service(directory / "data", tiny_model(directory / "tiny"))
    job = service.run(service.create(train=rows(4), valid=rows(2), **LONG))
    yield service.outcome(job.id)
    service.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_job_of_a_worker_that_ends_goes_on_elsewhere_with_the_same_bits(
    cluster: Cluster, undisturbed: Outcome, end: signal.Signals
) -> None:
    job = cluster.create(train=rows(4), valid=rows(2), **LONG)
    cluster.wait_for_step(job.id, 1)
    worker = cluster.worker_of(job.id)
    assert worker is not None
    (name,) = (name for name, process in cluster.processes.items() if process.pid == worker.pid)
    cluster.processes[name].send_signal(end)
    cluster.processes[name].wait(PATIENCE_SECONDS)
    cluster.stop(name)
    cluster.start(name, "worker", "--queue", "gpu")
    succeeded(cluster, job)
    assert cluster.jobs.get(job.id).lease_epoch == 2
    assert cluster.outcome(job.id) == undisturbed


def test_job_cancelled_at_an_api_is_stopped(cluster: Cluster) -> None:
    job = cluster.create(train=rows(4), **LONG)
    cluster.wait_for_step(job.id, 1)
    worker = cluster.worker_of(job.id)
    with cluster.client("api-2") as client:
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    cluster.wait(lambda: not worker.children())


def test_several_processes_answer_at_one_port_and_are_replaced(cluster: Cluster) -> None:
    api = cluster.start("apis", "api", "--port", "0", "--workers", "2", RFT_API_KEY=KEY)
    cluster.wait(lambda: re.search(r"base_url", (cluster.directory / "apis.log").read_text()))
    cluster.wait(lambda: len(api.children()) == 2)
    first, second = api.children()
    kill(first)
    with cluster.client("apis") as client:
        cluster.wait(lambda: is_ready(str(client.base_url)))
        cluster.wait(lambda: {child.pid for child in api.children()} - {first.pid, second.pid})
        assert client.models.list().data
    cluster.stop("apis")


def is_ready(base_url: str) -> bool:
    try:
        return httpx2.get(base_url.replace("/v1/", "/readyz"), timeout=10, trust_env=False).is_success
    except httpx2.TransportError:
        return False


@pytest.fixture
def patient_worker(idle_cluster: Cluster, redis_server: RedisServer) -> Iterator[psutil.Popen]:
    """A worker that looks at nothing unless somebody rings."""
    others = tuple(idle_cluster.processes)
    idle_cluster.stop(*others)
    yield idle_cluster.start("patient", "worker", "--queue", "gpu", RFT_LOOK_SECONDS="3600")
    idle_cluster.stop("patient")


def test_message_of_celery_alone_wakes_a_worker(
    idle_cluster: Cluster, redis_server: RedisServer, patient_worker: psutil.Popen
) -> None:
    with redis_server.client() as client:
        idle_cluster.wait(lambda: client.pubsub_numsub("rft:moved")[0][1])
    job = idle_cluster.create(train=rows(4), **SHORT)
    plan = validate(job, idle_cluster.files)
    SqlLeaseStore(idle_cluster.database).validated(job, plan.to_json())
    Doorbells(celery_app(redis_server.url), redis_server.url).run(job.id)
    idle_cluster.wait(lambda: idle_cluster.jobs.get(job.id).status is JobStatus.RUNNING)
    idle_cluster.jobs.command(job.id, JobCommand.CANCEL)
