"""Handing out jobs from a PostgreSQL with a long history: 100,000 finished jobs and 10 million events.

1. 1,000 queued jobs of four projects, claimed by 8 processes at once: no job twice, and at least 200 claims a second, from the
   first one's begin to the last one's end.
2. One client's 99th percentiles of listing jobs (the first page, and one from the middle), polling a job with its newest events,
   following events by their number, and claiming one of many queued jobs: below 20 ms each. The stores are called as API and
   supervisors call them; HTTP is in the benchmark `api`.

`python -m benchmarks.dispatch --jobs 10000 --events 1000000` tries it on less.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.api_world import postgres
from benchmarks.check import Check
from benchmarks.claimer import HOLD_SECONDS, Claims
from benchmarks.dispatch_world import PROJECTS, add_queued, make_history
from core.db import Database
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_lookups import EventQuery, JobKey, find_events, find_jobs
from core.jobs.sql_store import SqlJobStore

JOBS, EVENTS = 100_000, 10_000_000
QUEUED, CLAIMERS, CLAIMS_A_SECOND = 1000, 8, 200.0
CALLS, WARM_UP, LIMIT_MS = 500, 50, 20.0


def run(jobs: int = JOBS, events: int = EVENTS) -> list[Check]:
    """Claims together, then each call alone."""
    with postgres() as url:
        make_history(url, jobs, events)
        add_queued(url, QUEUED)
        return [_together(url), *_alone(url, jobs)]


def _together(url: str) -> Check:
    argv = [sys.executable, "-m", "benchmarks.claimer"]
    environment = {**os.environ, "RFT_DATABASE_URL": url}
    claimers = [
        subprocess.Popen([*argv, f"claimer-{n}"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(CLAIMERS)
    ]
    for claimer in claimers:
        assert claimer.stdout is not None
        claimer.stdout.readline()
    got = [Claims(**json.loads(out)) for out in _go(claimers)]
    job_ids = list(itertools.chain.from_iterable(claims.job_ids for claims in got))
    if len(job_ids) != QUEUED or len(set(job_ids)) != QUEUED:
        raise SystemExit(f"{QUEUED} jobs were claimed {len(job_ids)} times, {len(set(job_ids))} different ones")
    rate = QUEUED / (max(claims.end for claims in got) - min(claims.begin for claims in got))
    return Check("claims_of_8", rate, CLAIMS_A_SECOND, "claims/s", rate / CLAIMS_A_SECOND)


def _go(claimers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Let them all begin; what they print at their end."""
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("\n")
        claimer.stdin.flush()
    return [claimer.communicate()[0] for claimer in claimers]


def _alone(url: str, jobs: int) -> list[Check]:
    add_queued(url, CALLS + WARM_UP)
    database, rng = Database(url), random.Random(0)
    leases = SqlLeaseStore(database)

    def place() -> tuple[str, str]:
        number = rng.randint(1, jobs)
        return PROJECTS[number % len(PROJECTS)], f"ftjob-{number:012}"

    def listing() -> None:
        SqlJobStore(database, rng.choice(PROJECTS)).list(after=None, limit=20, metadata=None)

    def listing_on() -> None:
        project_id, job_id = place()
        SqlJobStore(database, project_id).list(after=job_id, limit=20, metadata=None)

    def polling() -> None:
        project_id, job_id = place()
        find_jobs(database, [JobKey(project_id, job_id)])
        find_events(database, [EventQuery(project_id, job_id, after=None, limit=20)])

    def following() -> None:
        project_id, job_id = place()
        SqlEventLog(database, project_id).since(job_id, rng.randint(0, 5), 20)

    def claiming() -> None:
        assert leases.claim("alone", HOLD_SECONDS) is not None

    calls = (listing, listing_on, polling, following, claiming)
    checks = [_p99(call.__name__, call) for call in calls]
    database.dispose()
    return checks


def _p99(name: str, call: Callable[[], None]) -> Check:
    milliseconds = []
    for number in range(WARM_UP + CALLS):
        begin = time.perf_counter()
        call()
        if number >= WARM_UP:
            milliseconds.append((time.perf_counter() - begin) * 1000)
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    return Check(f"{name}_p99", p99, LIMIT_MS, "ms", LIMIT_MS / p99)


def main(arguments: Sequence[str]) -> None:
    """Try it on another amount of history."""
    parser = argparse.ArgumentParser(prog="benchmarks.dispatch")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--events", type=int, default=EVENTS)
    asked = parser.parse_args(arguments)
    for check in run(asked.jobs, asked.events):
        print(f"{check.name:22} {check.ours:12.3f} {check.peer:12.3f} {check.unit:>10} {check.ratio:7.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
