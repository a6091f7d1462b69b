"""Jobs whose object store fails, is away or full, and whose project may store no more: the same bits in the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.types import Job, JobCommand, JobStatus
from core.limits.stored import stored_bytes
from core.projects import ProjectStore
from core.settings import DEFAULT_PROJECT
from tests.s3_proxy import PASSING, Fault, Proxy, Request, always, in_front_of
from tests.service import Outcome, Service
from worker.light.orphans import OrphanObjects

from .conftest import Bench

FAILING = 0.2


@pytest.fixture
def proxy(s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with in_front_of(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def on_s3(proxy: Proxy, s3_url: str, model: Path, undisturbed: Outcome, tmp_path: Path) -> Iterator[Bench]:
    """The job of all runs, over a bucket behind a proxy."""
    service = Service(tmp_path / "data", model, object_store_url=s3_url)
    yield Bench(service, undisturbed)
    service.close()


def paused(service: Service, job: Job) -> Job:
    """The job, once it is paused and its runner has let go."""
    service.wait_for_pause(job.id)
    return service.jobs.get(job.id)


def told(service: Service, job: Job) -> list[str]:
    """What its history says as errors."""
    return [event.message for event in service.history(job.id) if event.level == "error"]


@pytest.mark.heavy
def test_a_store_that_fails_every_fifth_call_does_not_show(on_s3: Bench, proxy: Proxy) -> None:
    rng, faults = random.Random(5), []

    def rule(_: Request) -> Fault:
        if rng.random() >= FAILING:
            return Fault.NONE
        faults.append(PASSING[len(faults) % len(PASSING)])
        return faults[-1]

    job = on_s3.job()
    proxy.rule = rule
    ended = on_s3.service.run(job)
    proxy.rule = always(Fault.NONE)
    on_s3.assert_same_end(ended)
    assert len(faults) >= len(PASSING) - 2  # how many calls there are depends on how often a state is saved
    assert OrphanObjects(on_s3.service.database, on_s3.service.objects, min_age=-60).sweep(dry_run=True).count == 0


@pytest.mark.heavy
def test_a_store_that_is_away_costs_no_job(on_s3: Bench, proxy: Proxy) -> None:
    service, job = on_s3.service, on_s3.job()
    with service.supervisor():
        service.wait_for_step(job.id, 2)
        proxy.rule = always(Fault.DENIED)
        service.wait(lambda: service.lease_owner(job.id) is None)
        assert service.jobs.get(job.id).status is JobStatus.RUNNING
        proxy.rule = always(Fault.NONE)
        on_s3.assert_same_end(service.wait_for_end(job.id))


@pytest.mark.heavy
def test_a_full_store_pauses_the_job_and_room_lets_it_go_on(on_s3: Bench, proxy: Proxy) -> None:
    service, job = on_s3.service, on_s3.job()
    with service.supervisor():
        service.wait_for_step(job.id, 2)
        proxy.rule = lambda request: Fault.FULL if request.method == "PUT" else Fault.NONE
        paused(service, job)
        (message,) = told(service, job)
        assert message == "The object store has no room left. The job is paused; free some space and resume it."
        proxy.rule = always(Fault.NONE)
        service.jobs.command(job.id, JobCommand.RESUME)
        on_s3.assert_same_end(service.wait_for_end(job.id))


@pytest.mark.heavy
def test_a_project_that_may_store_no_more_has_its_job_paused(bench: Bench) -> None:
    service, job, projects = bench.service, bench.job(), ProjectStore(bench.service.database)
    with service.database.read() as session:
        files = sum(stored_bytes(session, DEFAULT_PROJECT).values())
    projects.set_limits(DEFAULT_PROJECT, {"max_stored_bytes": files + 60_000})
    with service.supervisor():
        paused(service, job)
        (message,) = told(service, job)
        assert f"may store {files + 60_000} bytes" in message
        assert message.endswith("The job is paused; free some space and resume it.")
        with service.database.read() as session:
            assert sum(stored_bytes(session, DEFAULT_PROJECT).values()) <= files + 60_000
        projects.set_limits(DEFAULT_PROJECT, {"max_stored_bytes": None})
        service.jobs.command(job.id, JobCommand.RESUME)
        bench.assert_same_end(service.wait_for_end(job.id))
    assert OrphanObjects(service.database, service.objects, min_age=-60).sweep(dry_run=True).count == 0
