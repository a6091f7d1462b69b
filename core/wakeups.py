"""Wake-ups: who has changed a job tells it, so that those who wait for it need not ask the database all the time.

They are hints. One that is lost, late or false costs time and nothing else: whoever listens looks at the rows, and goes on
looking now and then where nothing is heard. They go over Redis; without one nothing is told, and Redis' client is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.db import Database
from core.settings import Settings


@dataclass(frozen=True)
class Moved:
    """A job of which something has changed, and the status that it has now."""

    job_id: str
    status: str


Heard = Callable[[Moved | None], None]
"""What a listener calls, in a thread of its own; with None where it may have missed something."""


def open_database(settings: Settings) -> Database:
    """The database of these settings, whose changes to jobs are told over Redis where there is one."""
    if settings.redis_url is None:
        return Database(settings.database_url)
    from core.redis_wakeups import Publisher  # an embedded service pays nothing for Redis

    return Database(settings.database_url, moved=Publisher(settings.redis_url))


def listen(settings: Settings, heard: Heard) -> Callable[[], None]:
    """Let `heard` be told what moves, until the function that is returned is called; without Redis it is told nothing."""
    if settings.redis_url is None:
        return lambda: None
    from core.redis_wakeups import Listener

    listener = Listener(settings.redis_url, heard)
    listener.start()
    return listener.close
