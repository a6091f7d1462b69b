"""How soon a job runs again: `python -m tests.crash.recovery [--runs N]`. Seconds from a kill to the next kept sampling batch.

Beside it the promise: what is left of the lease, and what a runner takes from its start to its first kept batch, which
is its interpreter, the model's load and one batch.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from sqlalchemy import func, select

from core.tables import BatchRow
from tests.service import Service, kill, runner_of

from .cells import Deployment, Victim
from .matrix import places
from .running import Places, short_job
from .world import Trap, World, until, world


def measure(where: Places, victim: Victim, number: int, lease_seconds: float) -> tuple[float, float]:
    """Seconds from the kill to the next kept batch, and from the first runner's start to its first."""
    directory = where.directory / f"{victim}-{number}"
    with world(Deployment.EMBEDDED, directory, where.model, where.template, lease_seconds=lease_seconds) as struck:
        trap = Trap(directory / "reached", "after_batch_row", 2)
        worker = struck.start(Victim.WORKER, **trap.variables)
        service, job = struck.service, short_job(struck.service)
        until(lambda: runner_of(worker) is not None)
        began = time.monotonic()
        until(lambda: _batches(service, job.id, 1) > 0)
        start = time.monotonic() - began
        until(lambda: trap.sprung)
        if victim is Victim.WORKER:
            struck.start(Victim.WORKER)  # waits for the lease
        until(lambda: _is_ready(struck, victim))
        kill(runner_of(worker) if victim is Victim.RUNNER else worker)
        killed = time.monotonic()
        until(lambda: _batches(service, job.id, 2) > 0)
        return time.monotonic() - killed, start


def _is_ready(struck: World, victim: Victim) -> bool:
    """Whether the worker that shall take over looks for work by now."""
    if victim is Victim.RUNNER:
        return True
    files = [file.path for file in struck.processes(Victim.WORKER)[-1].open_files()]
    return any(path.endswith("touchstone.db") for path in files)


def _batches(service: Service, job_id: str, epoch: int) -> int:
    with service.database.read() as session:
        query = select(func.count()).where(BatchRow.job_id == job_id, BatchRow.epoch == epoch)
        return session.scalar(query) or 0


def main(arguments: Sequence[str]) -> int:
    """Prints a line for each victim."""
    parser = argparse.ArgumentParser(prog="tests.crash.recovery")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lease", type=float, default=30.0)
    asked = parser.parse_args(arguments)
    with places() as where:
        for victim in (Victim.RUNNER, Victim.WORKER):
            found = [measure(where, victim, number, asked.lease) for number in range(asked.runs)]
            again, start = (statistics.median(values) for values in zip(*found, strict=True))
            sys.stdout.write(f"{victim}: {again:.1f} s, start to first batch {start:.1f} s, lease {asked.lease:g} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
