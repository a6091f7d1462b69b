"""`rft worker` and `rft scheduler`: the processes that do the work, in the foreground."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from core.settings import get_settings


class Queue(StrEnum):
    """What a worker of a distributed service does."""

    GPU = "gpu"
    """Runs jobs, one at a time."""
    DEFAULT = "default"
    """Light work: checks files, delivers webhooks, clears away."""


FollowStdin = Annotated[bool, typer.Option("--follow-stdin", hidden=True)]


def work(
    queue: Annotated[Queue, typer.Option(help="With RFT_REDIS_URL: run jobs (gpu), or do light work (default).")] = Queue.GPU,
    follow_stdin: FollowStdin = False,
) -> None:
    """Run a worker. Without RFT_REDIS_URL it does everything; with it, what its queue is for."""
    if get_settings().redis_url is None:
        _become("worker.supervisor", follow_stdin)
    _become("worker.gpu_worker" if queue is Queue.GPU else "worker.light_worker", follow_stdin)


def schedule(follow_stdin: FollowStdin = False) -> None:
    """Run the scheduler of a distributed service (RFT_REDIS_URL): it tells workers what is due. Several may run."""
    _become("worker.scheduler", follow_stdin)


def _become(module: str, follow_stdin: bool) -> None:
    arguments = [sys.executable, "-m", module, *(["--follow-stdin"] if follow_stdin else [])]
    os.execv(sys.executable, arguments)  # noqa: S606
