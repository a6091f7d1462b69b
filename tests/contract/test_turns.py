"""Whose turn it is, on SQLite and PostgreSQL: shares of projects, priorities within one, workers of some models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.jobs.sql_leases import SqlLeaseStore, find_due
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import Job
from core.limits.base import NO_LIMITS
from core.settings import DEFAULT_PROJECT

from .parts import FOREIGN_PROJECT, PLAN, TTL, Parts, new_job


def queued(parts: Parts, project_id: str = DEFAULT_PROJECT, *, model: str = "tiny", priority: int = 0) -> Job:
    """A queued job, younger than those before."""
    parts.clock.advance(1.0)
    new = replace(new_job(), base_model=model, priority=priority)
    job = SqlJobStore(parts.database, project_id).create(new)
    parts.leases.validated(job, PLAN)
    return job


def claimed(parts: Parts, count: int) -> list[str]:
    """Ids of the next jobs, each by a worker of its own, one after the other."""
    ids = []
    for number in range(count):
        parts.clock.advance(0.001)
        ids.append(parts.claim(f"worker-{number}", ttl=1e6).job_id)
    return ids


def test_projects_take_turns_however_long_their_queues_are(parts: Parts) -> None:
    many = [queued(parts).id for _ in range(4)]
    few = [queued(parts, FOREIGN_PROJECT).id for _ in range(2)]
    assert claimed(parts, 6) == [many[0], few[0], many[1], few[1], *many[2:]]


def test_project_that_runs_less_goes_first(parts: Parts) -> None:
    for _ in range(3):
        queued(parts)
    claimed(parts, 2)
    theirs = [queued(parts, FOREIGN_PROJECT).id for _ in range(2)]
    assert claimed(parts, 2) == theirs


def test_one_worker_serves_projects_in_turn(parts: Parts) -> None:
    ours, theirs = [queued(parts) for _ in range(2)], [queued(parts, FOREIGN_PROJECT) for _ in range(2)]
    order = []
    for _ in range(4):
        lease = parts.claim()
        order.append(lease.job_id)
        parts.journal(lease).fail({"code": "any", "message": "Over.", "param": None})
        parts.clock.advance(1.0)
    assert order == [ours[0].id, theirs[0].id, ours[1].id, theirs[1].id]


def test_highest_priority_of_a_project_goes_first(parts: Parts) -> None:
    usual, low, high = queued(parts), queued(parts, priority=-5), queued(parts, priority=10)
    assert claimed(parts, 3) == [high.id, usual.id, low.id]


def test_no_priority_gains_on_another_project(parts: Parts) -> None:
    ours, theirs = queued(parts), queued(parts, FOREIGN_PROJECT, priority=100)
    urgent = queued(parts, priority=1)
    assert claimed(parts, 3) == [urgent.id, theirs.id, ours.id]


def test_lost_job_goes_before_all_that_wait(parts: Parts) -> None:
    lease, _ = parts.running()
    queued(parts, FOREIGN_PROJECT, priority=100)
    parts.clock.advance(TTL)
    assert parts.claim("two").job_id == lease.job_id


@pytest.mark.parametrize("lost", [False, True])
def test_worker_gets_only_jobs_on_its_models(parts: Parts, lost: bool) -> None:
    large, small = queued(parts, model="large", priority=100), queued(parts, FOREIGN_PROJECT, model="small")
    if lost:
        claimed(parts, 2)
        parts.clock.advance(2e6)
    first, second = (parts.leases.claim("small", TTL, models={"small", "other"}) for _ in range(2))
    assert (first and first.job_id, second) == (small.id, None)
    assert claimed(parts, 1) == [large.id]


def test_worker_for_no_model_gets_none(parts: Parts) -> None:
    queued(parts)
    assert parts.leases.claim("none", TTL, models=frozenset()) is None


def test_full_project_makes_way(parts: Parts) -> None:
    leases = SqlLeaseStore(parts.database, replace(NO_LIMITS, max_running_jobs=1))
    ours, waiting, theirs = queued(parts), queued(parts), queued(parts, FOREIGN_PROJECT)
    got = [leases.claim(f"worker-{number}", TTL) for number in range(3)]
    assert [lease and lease.job_id for lease in got] == [ours.id, theirs.id, None]
    assert find_due(parts.database, 10) == [waiting.id]


def test_claims_at_once_take_each_job_of_every_project_once(parts: Parts) -> None:
    for _ in range(6):
        queued(parts)
        queued(parts, FOREIGN_PROJECT)

    def take(worker: int) -> list[str]:
        taken = []
        while (lease := parts.leases.claim(f"worker-{worker}", 1e6)) is not None:
            taken.append(lease.job_id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        ids = [job_id for taken in pool.map(take, range(4)) for job_id in taken]
    assert len(ids) == len(set(ids)) == 12
