"""The three tasks, all of them doorbells, and the one who rings them.

Messages carry ids and names, never state. A task that comes twice, late, or for a job that is due no more finds nothing to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from core.telemetry.context import bound
from core.telemetry.metrics import MESSAGES_SENT, MESSAGES_TAKEN, MESSAGES_WAITING, REDIS_FAILURES
from worker.celery_app import GPU_QUEUE, LIGHT_QUEUE

log = logging.getLogger(__name__)

RUN = "rft.run"
"""A job is due. The worker that gets it looks for the job whose turn it is, and takes no other message until it is idle again."""
VALIDATE = "rft.validate"
"""A job's files are to be checked."""
CHORE = "rft.chore"
"""A piece of light work is due."""
MAX_WAITING = 1000
"""Messages of one queue that nobody takes, beyond which none is sent: they would fill Redis and tell nothing new."""
_CHORE_EXPIRES = 60.0
AWAY_SECONDS = 5.0
"""How long Redis is left alone once it has failed."""


def add_run_task(app: Celery, take: Callable[[], None]) -> None:
    """Let messages of the queue `gpu` call `take`, which returns when the worker is idle."""

    def run(job_id: str) -> None:
        MESSAGES_TAKEN.labels(RUN).inc()
        with bound(job_id=job_id):
            log.debug("rung for a job")
        take()

    app.task(name=RUN)(run)


def add_light_tasks(app: Celery, validate: Callable[[str], None], chore: Callable[[str], None]) -> None:
    """Let messages of the queue `default` call `validate` with a job's id and `chore` with a name."""

    def run_validate(job_id: str) -> None:
        MESSAGES_TAKEN.labels(VALIDATE).inc()
        validate(job_id)

    def run_chore(name: str) -> None:
        MESSAGES_TAKEN.labels(CHORE).inc()
        chore(name)

    app.task(name=VALIDATE)(run_validate)
    app.task(name=CHORE)(run_chore)


class Doorbells:
    """Sends the messages. Never fails: while Redis is away nothing is sent, and workers look by themselves."""

    def __init__(self, app: Celery, redis_url: str) -> None:
        self._app = app
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=None)
        self._away_until = 0.0

    def run(self, job_id: str) -> None:
        """A job is due."""
        self._send(RUN, GPU_QUEUE, {"job_id": job_id})

    def validate(self, job_id: str) -> None:
        """A job's files are to be checked."""
        self._send(VALIDATE, LIGHT_QUEUE, {"job_id": job_id})

    def chore(self, name: str, every: float | None = None) -> None:
        """A piece of light work is due, unless this was sent within its `every` seconds, by whichever scheduler."""
        if every is None or self._is_first(f"rft:chore:{name}", every):
            self._send(CHORE, LIGHT_QUEUE, {"name": name}, expires=_CHORE_EXPIRES)

    def waiting(self, queue: str) -> int | None:
        """Messages that nobody has taken yet; None where Redis is away."""
        found = self._asked(lambda: self._redis.llen(queue))
        if found is None:
            return None
        MESSAGES_WAITING.labels(queue).set(int(str(found)))
        return int(str(found))

    def _is_first(self, key: str, every: float) -> bool:
        return bool(self._asked(lambda: self._redis.set(key, 1, nx=True, px=max(1, int(every * 900)))))

    def _asked(self, question: Callable[[], object]) -> object:
        if time.monotonic() < self._away_until:
            return None
        try:
            return question()
        except redis.RedisError as error:
            self._away(error)
            return None

    def _send(self, task: str, queue: str, arguments: Mapping[str, str], expires: float | None = None) -> None:
        waiting = self.waiting(queue)
        if waiting is None or waiting >= MAX_WAITING:
            return
        try:
            self._app.send_task(task, kwargs=dict(arguments), queue=queue, expires=expires, retry=False)
            MESSAGES_SENT.labels(task).inc()
        except (OperationalError, redis.RedisError, OSError) as error:
            self._away(error)

    def _away(self, error: Exception) -> None:
        REDIS_FAILURES.inc()
        log.warning("Redis does not answer; for %.0f s no worker is rung: %s", AWAY_SECONDS, error)
        self._away_until = time.monotonic() + AWAY_SECONDS
