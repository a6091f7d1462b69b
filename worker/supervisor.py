"""The supervisor: validates new jobs, claims leases and keeps one runner process alive under each. Imports no torch."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from core.db import Database
from core.errors import JobFailure, LeaseLost, Unavailable
from core.failpoints import hit
from core.files import FileStore
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.types import Lease
from core.jobs.validation import validate
from core.lifeline import Lifeline, exit_with_owner
from core.limits.base import Limits
from core.settings import Settings, get_settings
from core.storage.build import open_store
from worker.light.build import chores
from worker.light.run import LightWork

log = logging.getLogger("worker.supervisor")

_RENEW_SECONDS = 2.0
"""How often a lease is renewed at most; a cancelled job's runner is stopped within this time."""
_GRACE_SECONDS = 5.0
"""Between asking a runner to end and killing it."""
_RETRY_SECONDS = 2.0
"""Pause before a job whose runner crashed is due again."""


@dataclass
class _Running:
    lease: Lease
    process: subprocess.Popen[bytes]
    renewed_at: float
    lifeline: Lifeline


class Supervisor:
    """Takes jobs one at a time. `tick` is one look at the database and at the runner; nothing in it waits for training."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url)
        self._objects = open_store(settings.object_store_url)
        self._leases = SqlLeaseStore(self._database, Limits.default(settings))
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._running: _Running | None = None
        self._stopping = False

    def serve(self) -> None:
        """Tick until `stop`; a database that is away for a while is waited for."""
        while not self._stopping:
            try:
                self.tick()
            except Unavailable as error:
                log.warning("%s", error.message)
            time.sleep(self._settings.poll_seconds)
        if self._running:
            self._end_runner(self._running)
            self._leases.release(self._running.lease, counted=False)

    def stop(self) -> None:
        """Leave `serve` after the tick under way: the runner is ended, its job becomes due for another worker."""
        self._stopping = True

    def tick(self) -> None:
        """Validate a new job if there is one; watch the runner, or claim a job and start one."""
        self._validate_next()
        if self._running:
            self._watch(self._running)
        elif lease := self._leases.claim(self._owner, self._settings.lease_seconds):
            hit("after_claim")
            self._running = self._start(lease)

    def _validate_next(self) -> None:
        job = self._leases.unvalidated()
        if job is None:
            return
        files = FileStore(self._database, self._objects, job.project_id, self._settings.max_file_bytes)
        try:
            plan = validate(job, files)
            hit("before_validated")
        except JobFailure as error:
            self._leases.rejected(job, {"code": error.code, "message": error.message, "param": error.param})
        else:
            self._leases.validated(job, plan.to_json())

    def _start(self, lease: Lease) -> _Running:
        log.info("job %s: epoch %d starts", lease.job_id, lease.epoch)
        lifeline = Lifeline(self._settings.stall_seconds)
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.runner", lease.job_id, lease.project_id, str(lease.epoch)],
            stdin=lifeline.of_child.fileno(),
            env={**self._settings.environment(), "PYTHONHASHSEED": "0"},
        )
        lifeline.started()
        return _Running(lease, process, monotonic(), lifeline)

    def _watch(self, running: _Running) -> None:
        status = running.process.poll()
        if status is not None:
            log.info("job %s: runner ended with status %d", running.lease.job_id, status)
            hit("before_release")
            self._leases.release(running.lease, delay=_RETRY_SECONDS if status else 0.0)
            self._forget(running)
            return
        if running.lifeline.stalled():
            log.warning("job %s: no progress for %g seconds, runner is killed", running.lease.job_id, running.lifeline.patience)
            running.process.kill()
            return
        if monotonic() - running.renewed_at < min(_RENEW_SECONDS, self._settings.lease_seconds / 3):
            return
        try:
            self._leases.renew(running.lease, self._settings.lease_seconds)
            running.renewed_at = monotonic()
        except LeaseLost as error:
            log.info("%s", error.message)
            self._end_runner(running)
            self._forget(running)

    def _forget(self, running: _Running) -> None:
        running.lifeline.close()
        self._running = None

    def _end_runner(self, running: _Running) -> None:
        running.process.terminate()
        try:
            running.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="worker.supervisor")
    parser.add_argument(
        "--follow-stdin", action="store_true", help="end with the process that holds the other end of standard input"
    )
    if parser.parse_args(arguments).follow_stdin:
        exit_with_owner()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = get_settings()
    supervisor = Supervisor(settings)
    # Beside the supervisor, with connections of its own: nothing of it may hold up the renewal of a lease.
    light = LightWork(chores(settings, Database(settings.database_url)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    light.start()
    supervisor.serve()
    light.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
