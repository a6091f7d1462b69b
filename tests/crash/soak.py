"""A soak: many short jobs of four projects over three workers, and every few seconds somebody is killed.

`python -m tests.crash.soak [--jobs N] [--seed S]`
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from sqlalchemy import select

from core.jobs import state
from core.jobs.types import Job, JobStatus
from core.settings import DEFAULT_PROJECT
from core.tables import FileRow, JobRow, ProjectRow, TunedModelRow
from tests.service import Service, rows, runner_of

from .cells import Deployment, Victim
from .matrix import places
from .record import Record, orphans
from .running import Places
from .servers import kill_all
from .world import World, until, world

WORKERS = 3
SHARES = {DEFAULT_PROJECT: 0.4, "proj_second": 0.3, "proj_third": 0.2, "proj_fourth": 0.1}
"""Of the jobs, by project: those that queue more may not run more."""
STRUCK_AT_MOST = 3
"""Times that a job may lose its runner: five in a row, without a step in between, are taken for the job's fault."""
PAUSE_SECONDS = (1.0, 4.0)
"""Between two kills."""
PATIENCE_SECONDS = 120.0
"""For each job."""
UNEVEN = 4
"""How many starts projects may differ by while all of them wait: a job that lost its runner holds its project's turn."""
_BYSTANDERS = (Victim.SCHEDULER, Victim.LIGHT, Victim.REDIS)


@dataclass(frozen=True)
class Soaked:
    """How a soak has ended."""

    trouble: tuple[str, ...]
    """What is not as promised."""
    kills: Counter[str]
    lost: int
    """Times that a job had to be taken up again."""
    uneven: int
    """The largest difference between the numbers of jobs that two projects had started while both waited."""
    seconds: float


def soak(where: Places, jobs: int, seed: int = 0) -> Soaked:
    """Run so many jobs; each has to end as one that nobody disturbed."""
    with world(Deployment.EMBEDDED, where.directory / "calm", where.model, where.template) as calm:
        expected = Record.of(calm.service, calm.service.run(_job(calm.service)))
    with world(Deployment.DISTRIBUTED, where.directory / "soak", where.model, where.template) as soaked:
        return _Soak(soaked, random.Random(seed)).run(jobs, expected)


class _Soak:
    def __init__(self, soaked: World, random_: random.Random) -> None:
        self._world, self._service, self._random = soaked, soaked.service, random_
        self._kills: Counter[str] = Counter()
        self._projects = [soaked.service.in_project(project_id) for project_id in SHARES]

    def run(self, count: int, expected: Record) -> Soaked:
        begin = time.monotonic()
        self._make_projects()
        self._world.start(Victim.LIGHT)
        self._world.start(Victim.SCHEDULER)
        jobs = self._queue(count)
        for _ in range(WORKERS):
            self._world.start(Victim.WORKER)
        self._strike_until_all_have_ended(time.monotonic() + count * PATIENCE_SECONDS)
        lost, trouble = 0, []
        for service, job in jobs:
            ended = service.jobs.get(job.id)
            lost += [event.message for event in service.history(job.id)].count(state.WORKER_LOST)
            differing = Record.of(service, ended).differences(expected)
            trouble += [f"{job.id}: {ended.status}, {', '.join(differing)} differ"] if differing else []
        trouble += [*orphans(self._service), *self._made_twice()]
        uneven = self._uneven()
        if uneven > UNEVEN:
            trouble.append(f"projects differ by {uneven} starts")
        return Soaked(tuple(trouble), self._kills, lost, uneven, time.monotonic() - begin)

    def _make_projects(self) -> None:
        with self._service.database.begin() as session:
            for number, project_id in enumerate(SHARES):
                if project_id != DEFAULT_PROJECT:
                    session.add(ProjectRow(project_id=project_id, name=f"Project {number}", created_at=time.time()))

    def _queue(self, count: int) -> list[tuple[Service, Job]]:
        """All jobs, checked and waiting."""
        sizes = [max(1, round(share * count)) for share in SHARES.values()]
        jobs = [(service, _job(service)) for service, size in zip(self._projects, sizes, strict=True) for _ in range(size)]
        until(lambda: all(service.jobs.get(job.id).status is JobStatus.QUEUED for service, job in jobs))
        return jobs

    def _strike_until_all_have_ended(self, give_up: float) -> None:
        strike_at, told = 0.0, -1
        while living := self._living_jobs():
            assert time.monotonic() < give_up, self._service.log()[-4000:]
            if living != told:
                sys.stderr.write(f"  {living} jobs to go, {self._kills.total()} kills\n")
                told = living
            if time.monotonic() >= strike_at:
                self._strike()
                strike_at = time.monotonic() + self._random.uniform(*PAUSE_SECONDS)
            time.sleep(0.1)

    def _strike(self) -> None:
        """Kill somebody, and start again whom nobody else starts."""
        victim = self._random.choice([Victim.RUNNER, Victim.RUNNER, Victim.WORKER, Victim.WORKER, *_BYSTANDERS])
        targets = self._world.processes(victim) if victim in _BYSTANDERS else self._busy(victim)
        if not targets:
            return
        target = self._random.choice(targets)
        kill_all([target])
        self._kills[str(victim)] += 1
        if victim is not Victim.RUNNER:
            self._world.revive(victim)

    def _busy(self, victim: Victim) -> list[psutil.Process]:
        """Workers or runners of jobs that have not been struck too often in a row, and idle workers."""
        with self._service.database.read() as session:
            spared = select(JobRow.lease_owner).where(JobRow.lease_owner.is_not(None), JobRow.attempts > STRUCK_AT_MOST)
            owners = {str(owner).rpartition(":")[2] for owner in session.scalars(spared)}
        workers = [worker for worker in self._world.processes(Victim.WORKER) if str(worker.pid) not in owners]
        if victim is Victim.WORKER:
            return workers
        return [runner for runner in map(runner_of, workers) if runner is not None]

    def _living_jobs(self) -> int:
        with self._service.database.read() as session:
            return len(session.scalars(select(JobRow.id).where(JobRow.status.not_in(state.TERMINAL))).all())

    def _made_twice(self) -> list[str]:
        """Tuned models and result files beyond one for each job."""
        with self._service.database.read() as session:
            models = session.scalars(select(TunedModelRow.name)).all()
            files = session.scalars(select(FileRow.id).where(FileRow.purpose == "fine-tune-results")).all()
            jobs = session.scalars(select(JobRow.id)).all()
        counts = {"tuned models": len(models), "result files": len(files)}
        return [f"{number} {name} of {len(jobs)} jobs" for name, number in counts.items() if number != len(jobs)]

    def _uneven(self) -> int:
        with self._service.database.read() as session:
            query = select(JobRow.project_id).where(JobRow.started_at.is_not(None)).order_by(JobRow.started_at)
            started = session.scalars(query).all()
        waiting, begun, largest = Counter(started), Counter(dict.fromkeys(SHARES, 0)), 0
        for project_id in started:
            if min(waiting.values()) <= 0:
                break
            begun[project_id] += 1
            waiting[project_id] -= 1
            largest = max(largest, max(begun.values()) - min(begun.values()))
        return largest


def _job(service: Service) -> Job:
    """One step, without a validation."""
    options = {"samples_per_prompt": 4, "max_completion_tokens": 4, "final_checkpoint": "last"}
    return service.create(train=rows(2), hyperparameters={"n_epochs": 1, "batch_size": 2}, options=options, seed=7)


def main(arguments: Sequence[str]) -> int:
    """Returns 1 where something was not as promised."""
    parser = argparse.ArgumentParser(prog="tests.crash.soak")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    with places() as where:
        soaked = soak(where, asked.jobs, asked.seed)
    kills = ", ".join(f"{count} {victim}" for victim, count in soaked.kills.most_common())
    sys.stdout.write(f"{asked.jobs} jobs in {soaked.seconds:.0f} s, {soaked.lost} times taken up again; killed: {kills}\n")
    sys.stdout.write(f"largest difference of starts between waiting projects: {soaked.uneven}\n")
    sys.stdout.writelines(f"{line}\n" for line in soaked.trouble)
    return int(bool(soaked.trouble))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
