"""The chore that checks the files of new jobs."""

from __future__ import annotations

import logging

from core.db import Database
from core.errors import JobFailure, Unavailable
from core.failpoints import hit
from core.files import FileStore
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.types import Job
from core.jobs.validation import validate
from core.storage.base import ObjectStore
from core.telemetry.context import bound

log = logging.getLogger("worker.light.validate")


class ValidateJobs:
    """Queues new jobs whose files are good, and fails the others. Two processes may check the same job: one verdict stays."""

    name = "validate"

    def __init__(self, database: Database, objects: ObjectStore, *, every: float, max_file_bytes: int) -> None:
        self.every = every
        self._database = database
        self._objects = objects
        self._leases = SqlLeaseStore(database)
        self._max_file_bytes = max_file_bytes

    def run(self) -> None:
        """All jobs that wait for it, oldest first."""
        for job in self._leases.unvalidated():
            self._check(job)

    def check(self, job_id: str) -> None:
        """One job, where it waits for it."""
        for job in self._leases.unvalidated(job_id):
            self._check(job)

    def _check(self, job: Job) -> None:
        with bound(job_id=job.id, project_id=job.project_id):
            self._check_files(job)

    def _check_files(self, job: Job) -> None:
        files = FileStore(self._database, self._objects, job.project_id, self._max_file_bytes)
        try:
            plan = validate(job, files)
            hit("before_validated")
        except JobFailure as error:
            self._leases.rejected(job, {"code": error.code, "message": error.message, "param": error.param})
        except Unavailable as error:
            log.warning("job %s: its files cannot be checked now: %s", job.id, error.message)
        else:
            self._leases.validated(job, plan.to_json())
            log.info("job %s: its files are good", job.id)
