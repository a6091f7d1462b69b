"""One of several processes that claim jobs of `RFT_DATABASE_URL` at the same time: `python -m benchmarks.claimer NAME`.

Says a line when it is ready, waits for one on its standard input, then claims until nothing is due. Prints what it got.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass

from core.db import Database
from core.jobs.sql_leases import SqlLeaseStore
from core.settings import get_settings

HOLD_SECONDS = 1e6


@dataclass(frozen=True)
class Claims:
    """Times are of the machine's monotonic clock, in seconds."""

    job_ids: list[str]
    begin: float
    end: float
    """Of the last claim that got a job."""


def main(name: str) -> None:
    """Claim until nothing is due."""
    database = Database(get_settings().database_url)
    with database.read() as session:
        database.time(session)  # connected
    print("ready", flush=True)
    sys.stdin.readline()
    leases, job_ids = SqlLeaseStore(database), []
    begin = end = time.monotonic()
    while (lease := leases.claim(name, HOLD_SECONDS)) is not None:
        end = time.monotonic()
        job_ids.append(lease.job_id)
    print(json.dumps(asdict(Claims(job_ids, begin, end))), flush=True)
    database.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
