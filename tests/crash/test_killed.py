"""A supervisor that is told to end. What is killed or frozen, and where, is the crash matrix's: `test_matrix`."""

from __future__ import annotations

from tests.service import runner_of

from .conftest import Bench


def test_a_terminated_supervisor_hands_its_job_over(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 1)
        runner = runner_of(supervisor)
        supervisor.terminate()
        service.wait(lambda: not supervisor.is_running() or supervisor.poll() is not None)
        assert not runner.is_running()
        assert service.lease_owner(job.id) is None
    bench.assert_same_end(service.run(job))
