"""The supervisor: claims leases and keeps one runner process alive under each. Imports no torch."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from core.bell import Bell
from core.errors import LeaseLost, Unavailable
from core.failpoints import hit
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.types import JobStatus, Lease
from core.lifeline import Lifeline
from core.limits.base import Limits
from core.settings import Settings, get_settings
from core.telemetry.context import bound
from core.telemetry.metrics import LEASE_RENEWED, RUNNER_EXITS
from core.telemetry.pulse import Pulse
from core.telemetry.reports import VARIABLE as REPORTS
from core.telemetry.reports import runner_reports
from core.telemetry.server import serve_metrics
from core.wakeups import Moved, open_database
from graders.sandbox.figures import SandboxCollector
from worker import exits
from worker.light.build import chores
from worker.light.run import LightWork
from worker.process import begin, on_end
from worker.tags import runnable_models

log = logging.getLogger("worker.supervisor")

_RENEW_SECONDS = 2.0
"""How often a lease is renewed at most; a cancelled job's runner is stopped within this time."""
_RETRY_SECONDS = 2.0
"""Pause before a job whose runner crashed is due again."""
_OUTAGE_SECONDS = 10.0
"""Pause before a job is due again whose runner has given up on the database or the object store."""


@dataclass
class _Running:
    lease: Lease
    process: subprocess.Popen[bytes]
    renewed_at: float
    lifeline: Lifeline


class Supervisor:
    """Takes jobs one at a time. `tick` is one look at the database and at the runner; nothing in it waits for training.

    An idle supervisor looks every `idle_seconds`, and whenever `heard` or `take` is called, which may be done from any thread.
    """

    def __init__(self, settings: Settings, *, idle_seconds: float) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._database = open_database(settings)
        self._leases = SqlLeaseStore(self._database, Limits.default(settings))
        self._models = runnable_models(settings)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._running: _Running | None = None
        self._pulse = Pulse()
        self._metrics = serve_metrics(settings, self._pulse, SandboxCollector(lambda: settings.grader_socket))
        self._bell = Bell()
        self._renew_now = False
        self._stopping = False
        self._looked = threading.Condition()
        self._looks = 0

    def serve(self) -> None:
        """Tick until `stop`; a database that is away for a while is waited for."""
        while not self._stopping:
            try:
                self.tick()
            except Unavailable as error:
                log.warning("%s", error.message)
            self._pulse.beat()
            self._tell_looked()
            self._bell.wait(self._settings.poll_seconds if self._running else self._idle_seconds)
        if self._running:
            self._drain(self._running)
        self._tell_looked()

    def stop(self) -> None:
        """Leave `serve` once the runner has let go of its job at the next border, or was killed; the job is due for another."""
        self._stopping = True
        self._bell.ring()

    def heard(self, moved: Moved | None) -> None:
        """Look soon where this may concern the supervisor: a job is queued, or the one it runs is cancelled."""
        running = self._running
        if running is not None and moved is not None and moved.job_id == running.lease.job_id:
            self._renew_now = moved.status == JobStatus.CANCELLED
        if self._renew_now or (running is None and (moved is None or moved.status == JobStatus.QUEUED)):
            self._bell.ring()

    def take(self) -> None:
        """Look for a job now, and return when none runs here any more."""
        with self._looked:
            looks = self._looks
            self._bell.ring()
            self._looked.wait_for(lambda: self._stopping or (self._looks > looks and self._running is None))

    def tick(self) -> None:
        """Watch the runner, or claim a job and start one."""
        if self._running:
            with bound(**_fields(self._running.lease)):
                self._watch(self._running)
        elif lease := self._leases.claim(self._owner, self._settings.lease_seconds, self._models):
            hit("after_claim")
            with bound(**_fields(lease)):
                self._running = self._start(lease)

    def _tell_looked(self) -> None:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()

    def _start(self, lease: Lease) -> _Running:
        log.info("job %s: epoch %d starts", lease.job_id, lease.epoch)
        LEASE_RENEWED.set_to_current_time()
        lifeline = Lifeline(self._settings.stall_seconds)
        with runner_reports() as reports:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.runner", lease.job_id, lease.project_id, str(lease.epoch)],
                stdin=lifeline.of_child.fileno(),
                env={**self._settings.environment(), "PYTHONHASHSEED": "0", REPORTS: str(reports)},
                pass_fds=(reports,),
            )
        lifeline.started()
        return _Running(lease, process, monotonic(), lifeline)

    def _watch(self, running: _Running) -> None:
        status = running.process.poll()
        if status is not None:
            hit("before_release")
            self._release(running.lease, status)
            log.info("job %s: runner ended with status %d", running.lease.job_id, status)
            RUNNER_EXITS.labels(exits.IN_WORDS.get(status, "crashed")).inc()
            self._forget(running)
            self._bell.ring()
            return
        if running.lifeline.stalled():
            log.warning("job %s: no progress for %g seconds, runner is killed", running.lease.job_id, running.lifeline.patience)
            running.process.kill()
            return
        if not self._renew_now and monotonic() - running.renewed_at < min(_RENEW_SECONDS, self._settings.lease_seconds / 3):
            return
        try:
            self._renew_now = False
            self._leases.renew(running.lease, self._settings.lease_seconds)
            running.renewed_at = monotonic()
            LEASE_RENEWED.set_to_current_time()
        except LeaseLost as error:
            log.info("%s", error.message)
            self._kill(running)

    def _release(self, lease: Lease, status: int) -> None:
        """An outage does not count against the job: it may last. Nor does the end of this worker."""
        if self._stopping:
            self._leases.release(lease, counted=False)
        elif status == exits.OUTAGE:
            self._leases.release(lease, delay=_OUTAGE_SECONDS, counted=False)
        else:
            self._leases.release(lease, delay=_RETRY_SECONDS if status else 0.0)

    def _forget(self, running: _Running) -> None:
        running.lifeline.close()
        self._running = None
        LEASE_RENEWED.set(0)

    def _kill(self, running: _Running) -> None:
        """Of a runner that was fenced out nothing is left to save."""
        running.process.kill()
        running.process.wait()
        self._forget(running)

    def _drain(self, running: _Running) -> None:
        """Let the runner go on to the next border, its lease held; where that takes too long, what it was doing is lost."""
        running.process.terminate()
        give_up = monotonic() + self._settings.drain_seconds
        while self._running and monotonic() < give_up:
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(self._settings.poll_seconds)
            try:
                self.tick()
            except Unavailable as error:
                log.warning("%s", error.message)
        if self._running:
            log.warning("job %s: its runner takes too long to let go and is killed", running.lease.job_id)
            self._kill(running)
            self._leases.release(running.lease, counted=False)


def _fields(lease: Lease) -> dict[str, str | int]:
    """For the log."""
    return {"job_id": lease.job_id, "project_id": lease.project_id, "epoch": lease.epoch}


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    begin("worker.supervisor", arguments)
    settings = get_settings()
    supervisor = Supervisor(settings, idle_seconds=settings.poll_seconds)
    # Beside the supervisor, with connections of its own: nothing of it may hold up the renewal of a lease.
    light = LightWork(chores(settings, open_database(settings)))
    on_end(supervisor.stop)
    light.start()
    supervisor.serve()
    light.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
