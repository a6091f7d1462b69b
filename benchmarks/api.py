"""Our job-retrieve and event-list routes beside bare FastAPI routes that do the same single query on the same database.

Both sides run as processes served alike, with all of ours at work: key, limits, headers, wire shapes. 64 connections of a third
process, each with a job of its own, ask one side and then the other, in turns; medians over the rounds are compared. Against the
aims: at least 0.6 of the peer's replies a second, and a 99th percentile of the latency of at most twice the peer's. `peer` is the
bare route's figure, and `ratio` is how far ours is beyond the aim: ours / (0.6 peer) for throughput, 2 peer / ours for the
percentile; 1 meets it.

Then 500 pollers at one request a second each (`benchmarks.pollers`): no error, and a 99th percentile under 250 ms.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.api_world import World, make_world, postgres, serving
from benchmarks.check import Check
from benchmarks.http_load import Load

CONNECTIONS, SECONDS, WARM_UP_SECONDS, ROUNDS = 64, 4.0, 1.5, 5
THROUGHPUT_SHARE, P99_TIMES = 0.6, 2.0
POLL_SECONDS, POLL_LIMIT_MS = 15.0, 250.0


def run() -> list[Check]:
    """Both routes on both databases."""
    return [check for database in ("sqlite", "postgres") for check in _on(database)]


def _on(database: str) -> list[Check]:
    with _world(database) as world, serving("ours", world.settings) as ours, serving("bare", world.settings) as bare:
        checks = []
        for name, rest in (("retrieve", ""), ("events", "/events")):
            paths = [f"/v1/fine_tuning/jobs/{job_id}{rest}" for job_id in world.job_ids]
            own, peer = _alternate([ours + path for path in paths], [bare + path for path in paths], world.key)
            checks += _checks(name, database, own, peer)
        if database == "sqlite":
            checks.append(_pollers(ours, world))
        return checks


def _pollers(ours: str, world: World) -> Check:
    urls = [f"{ours}/v1/fine_tuning/jobs/{job_id}" for job_id in world.job_ids]
    measured = load(urls, world.key, POLL_SECONDS, module="benchmarks.pollers")
    return Check("pollers_p99", measured.p99_ms, POLL_LIMIT_MS, "ms", POLL_LIMIT_MS / measured.p99_ms)


@contextmanager
def _world(database: str) -> Iterator[World]:
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="rft-bench-"))
        url = stack.enter_context(postgres()) if database == "postgres" else ""
        yield make_world(Path(directory), CONNECTIONS, url)


def _alternate(ours: list[str], bare: list[str], key: str) -> tuple[Load, Load]:
    """The median of each side's rounds."""
    for urls in (ours, bare):
        load(urls, key, WARM_UP_SECONDS)
    rounds = [(load(ours, key, SECONDS), load(bare, key, SECONDS)) for _ in range(ROUNDS)]
    return _median([own for own, _ in rounds]), _median([peer for _, peer in rounds])


def load(urls: list[str], key: str, seconds: float, *, module: str = "benchmarks.http_load") -> Load:
    """What a load generator's process measures."""
    argv = [sys.executable, "-m", module, key, str(seconds)]
    done = subprocess.run(argv, input="\n".join(urls), check=True, stdout=subprocess.PIPE, text=True)
    measured = Load(**json.loads(done.stdout))
    if measured.errors:
        raise SystemExit(f"{urls[0]}: {measured.errors} replies were no success")
    return measured


def _median(rounds: list[Load]) -> Load:
    return Load(
        statistics.median(load.throughput for load in rounds),
        statistics.median(load.p50_ms for load in rounds),
        statistics.median(load.p99_ms for load in rounds),
        errors=0,
    )


def _checks(name: str, database: str, ours: Load, peer: Load) -> list[Check]:
    throughput = ours.throughput / (THROUGHPUT_SHARE * peer.throughput)
    p99 = P99_TIMES * peer.p99_ms / ours.p99_ms
    return [
        Check(f"{name}_throughput_{database}", ours.throughput, peer.throughput, "replies/s", throughput),
        Check(f"{name}_p99_{database}", ours.p99_ms, peer.p99_ms, "ms", p99),
    ]
