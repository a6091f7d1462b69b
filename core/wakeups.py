"""Wake-ups over Redis: who has changed a job tells it, so that those who wait for it need not ask the database all the time.

They are hints. One that is lost, late or false costs time and nothing else: whoever listens looks at the rows, and goes on
looking now and then where nothing is heard.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis

from core.db import Database
from core.settings import Settings

log = logging.getLogger(__name__)

CHANNEL = "rft:moved"
TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 5.0
"""How long Redis is left alone once it has failed: nobody shall wait for it over and over."""
_IDLE_SECONDS = 1.0
_SILENT_SECONDS = 5.0
"""After so long without any answer a connection is taken for dead: those that break silently look alive."""


@dataclass(frozen=True)
class Moved:
    """A job of which something has changed, and the status that it has now."""

    job_id: str
    status: str


Heard = Callable[[Moved | None], None]
"""What a listener calls, in a thread of its own; with None where it may have missed something."""


class Publisher:
    """Tells what has moved. Never fails and never waits long; while Redis is away nothing is told."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
        )
        self._away_until = 0.0

    def __call__(self, moved: Mapping[str, str]) -> None:
        """Tell the statuses of jobs, by their ids."""
        if time.monotonic() < self._away_until:
            return
        try:
            self._redis.publish(CHANNEL, json.dumps(dict(moved)))
        except redis.RedisError as error:
            log.warning("Redis does not answer; for %.0f s nobody is woken by it: %s", AWAY_SECONDS, error)
            self._away_until = time.monotonic() + AWAY_SECONDS


class Listener:
    """Hears what has moved, in a thread from `start` to `close`. Connects again whenever the connection breaks."""

    def __init__(self, url: str, heard: Heard) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=_SILENT_SECONDS, socket_connect_timeout=_SILENT_SECONDS, retry=None
        )
        self._heard = heard
        self._closing = threading.Event()
        self._connected = False
        self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether what moves now will be heard."""
        return self._connected

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._closing.set()
        self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                if self._connected:
                    log.warning("Redis does not answer; nobody is woken by it: %s", error)
            self._connected = False
            self._closing.wait(_IDLE_SECONDS)

    def _listen(self) -> None:
        with self._redis.pubsub() as pubsub:
            pubsub.subscribe(CHANNEL)
            heard_at = time.monotonic()
            while not self._closing.is_set():
                message = pubsub.get_message(timeout=_IDLE_SECONDS)
                if message is not None:
                    heard_at = time.monotonic()
                    self._take(message["type"], message["data"])
                elif time.monotonic() - heard_at > _SILENT_SECONDS:
                    raise redis.TimeoutError("no answer")
                else:
                    pubsub.ping()

    def _take(self, kind: str, data: bytes) -> None:
        if kind == "subscribe":
            self._connected = True
            self._heard(None)
        elif kind == "message":
            for job_id, status in _moved(data):
                self._heard(Moved(job_id, status))


def open_database(settings: Settings) -> Database:
    """The database of these settings, whose changes to jobs are told over Redis where there is one."""
    return Database(settings.database_url, moved=Publisher(settings.redis_url) if settings.redis_url else None)


def _moved(data: bytes) -> list[tuple[str, str]]:
    """What a message tells; nothing where others use the channel for something else."""
    try:
        found = json.loads(data)
    except ValueError:
        return []
    return [(str(job_id), str(status)) for job_id, status in found.items()] if isinstance(found, dict) else []
