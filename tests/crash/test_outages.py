"""Redis is away or flushed, and what there may be two of is there twice. Troubles of the object store: `test_storage`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cells import Victim
from .record import Record
from .running import short_job
from .servers import kill_all
from .world import Trap, World, until

pytestmark = pytest.mark.heavy


def test_redis_that_is_away_for_the_whole_run_costs_time_and_nothing_else(distributed: World, calm: Record) -> None:
    kill_all(distributed.processes(Victim.REDIS))
    distributed.start_all()
    job = short_job(distributed.service)
    assert Record.of(distributed.service, distributed.service.wait_for_end(job.id)) == calm


def test_redis_that_is_flushed_costs_nothing(distributed: World, tmp_path: Path, calm: Record) -> None:
    service, trap = distributed.service, Trap(tmp_path / "reached", "mid_sampling")
    distributed.start_all(**trap.variables)
    jobs = [short_job(service) for _ in range(2)]
    until(lambda: trap.sprung)
    assert distributed.redis is not None
    distributed.redis.flush()
    trap.open()
    assert [Record.of(service, service.wait_for_end(job.id)) for job in jobs] == [calm, calm]


def test_two_schedulers_and_two_light_workers_do_nothing_twice(distributed: World, calm: Record) -> None:
    service = distributed.service
    distributed.start_all()
    for victim in (Victim.SCHEDULER, Victim.LIGHT, Victim.WORKER):
        distributed.start(victim)
    jobs = [short_job(service) for _ in range(3)]
    assert [Record.of(service, service.wait_for_end(job.id)) for job in jobs] == [calm] * 3
