"""Pollers: many clients that each ask for a job once a second, whether or not the last reply has come.

Against a service of one's own, also while a job trains: `python -m benchmarks.pollers KEY SECONDS < URLS` prints one JSON object;
each of the 500 pollers takes the next of the URLs. A turn that finds the last reply still missing counts as a reply as late as
that: a server that falls behind cannot hide it by being asked less.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import uvloop

from benchmarks.http_load import Connection, Load, connect, percentile

POLLERS = 500
INTERVAL_SECONDS = 1.0


async def poll(urls: Sequence[str], key: str, seconds: float, pollers: int = POLLERS) -> Load:
    """`pollers` connections for `seconds`, their beginnings spread over the first interval."""
    connections = [await connect(urls[number % len(urls)], key, again=False) for number in range(pollers)]
    turns = int(seconds / INTERVAL_SECONDS)
    begin = asyncio.get_running_loop().time()
    late = await asyncio.gather(
        *(
            _poller(connection, begin + INTERVAL_SECONDS * number / pollers, turns)
            for number, connection in enumerate(connections)
        )
    )
    latencies = [latency for connection in connections for latency in connection.latencies] + [
        one for some in late for one in some
    ]
    errors = sum(connection.errors for connection in connections)
    for connection in connections:
        connection.close()
    return Load(len(latencies) / seconds, percentile(latencies, 0.5), percentile(latencies, 0.99), errors)


async def _poller(connection: Connection, begin: float, turns: int) -> list[float]:
    """Ask at each turn; returns for each turn that found the reply before still missing how long it was awaited by then."""
    loop = asyncio.get_running_loop()
    late = []
    for turn in range(turns + 1):
        await asyncio.sleep(begin + turn * INTERVAL_SECONDS - loop.time())
        if connection.waiting:
            late.append(connection.waited())
        elif turn < turns:
            connection.ask()
    return late


if __name__ == "__main__":
    _, key, seconds = sys.argv
    print(json.dumps(asdict(uvloop.run(poll(sys.stdin.read().split(), key, float(seconds))))))
