"""How the processes of a worker begin and end."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence

from core.errors import RftError
from core.lifeline import exit_with_owner
from core.settings import Settings, get_settings
from core.telemetry import logs


class NoRedis(RftError):
    """The settings name no Redis, and what was started is a part of a distributed service."""

    code = "no_redis"
    type = "server_error"


def begin(program: str, arguments: Sequence[str]) -> None:
    """Read the command line and set the log up."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument(
        "--follow-stdin", action="store_true", help="end with the process that holds the other end of standard input"
    )
    if parser.parse_args(arguments).follow_stdin:
        exit_with_owner()
    logs.configure(get_settings())


def on_end(stop: Callable[[], None]) -> None:
    """Let SIGTERM and SIGINT call `stop`, in the middle of whatever this thread does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def redis_url(settings: Settings) -> str:
    """The Redis of a distributed service; raises `NoRedis`."""
    if settings.redis_url is None:
        raise NoRedis("RFT_REDIS_URL is not set: without Redis, `rft serve` runs the whole service.")
    return settings.redis_url
