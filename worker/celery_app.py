"""Celery on Redis, as a doorbell: messages say that somebody should look, the rows of the database say what there is to do.

So every setting here prefers to lose a message over waiting for one: messages are acknowledged before their task runs, nothing is
tried again, no result is kept. What a lost message was about is sent again by the scheduler, or found by a worker that looks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from celery import Celery

log = logging.getLogger(__name__)

GPU_QUEUE = "gpu"
LIGHT_QUEUE = "default"
_TIMEOUT_SECONDS = 2.0
_RESTART_SECONDS = 2.0

_SETTINGS: Mapping[str, object] = {
    "task_acks_late": False,
    "task_ignore_result": True,
    "result_backend": None,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": LIGHT_QUEUE,
    "task_publish_retry": False,
    "worker_prefetch_multiplier": 1,
    # A worker that trains takes no second message, which an idle one could have had.
    "worker_disable_prefetch": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # What a worker has taken and not yet acknowledged when it is killed comes back after this time.
    "broker_transport_options": {
        "visibility_timeout": 1800,
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A sender must not wait for a Redis that is away.
        "max_retries": 0,
        "interval_start": 0,
    },
}


_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")
"""Loggers with two lines for every message, which there are many of."""


def celery_app(redis_url: str) -> Celery:
    """Celery with the queues and settings of this service, without a task."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    app = Celery("touchstone", broker=redis_url, set_as_current=False)
    app.conf.update(_SETTINGS)
    return app


class Consumer:
    """Takes the messages of one queue in a thread of a worker process, `at_once` of them at a time.

    It is started again when it ends. Where it stands still without ending, as Celery's connection to Redis is known to do, the
    worker looks at the database all the same.
    """

    def __init__(self, app: Celery, queue: str, at_once: int) -> None:
        self._app = app
        self._queue = queue
        self._at_once = at_once

    def start(self) -> None:
        """Begin to consume. There is no stop: the thread goes with the process."""
        threading.Thread(target=self._keep_consuming, name="celery", daemon=True).start()

    def _keep_consuming(self) -> None:
        while True:
            self._survive(self._consume)
            threading.Event().wait(_RESTART_SECONDS)

    def _consume(self) -> None:
        worker = self._app.WorkController(
            queues=[self._queue],
            pool="threads",
            concurrency=self._at_once,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()

    def _survive(self, consume: Callable[[], None]) -> None:
        try:
            consume()
        except Exception:
            log.exception("the consumer of the queue %s failed; it is started again", self._queue)
        except SystemExit:  # how Celery ends a worker
            log.warning("the consumer of the queue %s ended; it is started again", self._queue)
