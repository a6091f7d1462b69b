"""Wake-ups (`core.wakeups`) over a channel of Redis."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping

import redis

from core.wakeups import Heard, Moved

log = logging.getLogger(__name__)

CHANNEL = "rft:moved"
TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 5.0
"""How long Redis is left alone once it has failed: nobody shall wait for it over and over."""
_IDLE_SECONDS = 0.5
_SILENT_SECONDS = 5.0
"""After so long without any answer a connection is taken for dead: those that break silently look alive."""


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


def _moved(data: bytes) -> list[tuple[str, str]]:
    """What a message tells; nothing where others use the channel for something else."""
    try:
        found = json.loads(data)
    except ValueError:
        return []
    return [(str(job_id), str(status)) for job_id, status in found.items()] if isinstance(found, dict) else []
