"""A worker that is told to end lets go of its job at the next border between sampling batches, and the next one goes on."""

from __future__ import annotations

import signal

import pytest

from core.jobs import state
from core.jobs.types import JobStatus
from tests.service import runner_of

from .conftest import Bench


@pytest.mark.parametrize(
    "to_all", [pytest.param(False, id="the worker alone"), pytest.param(True, id="its runner too", marks=pytest.mark.heavy)]
)
def test_a_drained_job_goes_on_with_the_next_worker_to_the_same_bits(bench: Bench, to_all: bool) -> None:
    """A service manager may signal every process of a service: the runner hears it once or twice."""
    service, job = bench.service, bench.job()
    with service.supervisor() as first:
        service.wait_for_step(job.id, 2)
        runner = runner_of(first)
        for process in [first, runner] if to_all else [first]:
            process.send_signal(signal.SIGTERM)
        assert first.wait(120) == 0
        assert not runner.is_running()
    drained = service.jobs.get(job.id)
    assert (drained.status, service.lease_owner(job.id), drained.attempts) == (JobStatus.RUNNING, None, 0)
    assert state.HANDED_OVER in [event.message for event in service.history(job.id)]
    # What the last batch cost is not lost: the state of the last committed step is kept.
    assert service.state_keys(job.id)
    with service.supervisor():
        bench.assert_same_end(service.wait_for_end(job.id))
    told = [event.message for event in service.history(job.id)]
    assert told[told.index(state.HANDED_OVER) + 1] == state.CONTINUED
    assert state.WORKER_LOST not in told
