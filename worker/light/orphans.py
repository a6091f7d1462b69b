"""Objects that no row names: of a process killed between a write and its row, or between a row's end and the deletion.

An object is an orphan only when it is old. What was written lately may be the work of somebody who has not come to its row yet:
a file whose client is still sending the form's last field, a checkpoint whose parts are on their way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute

from core.db import Database
from core.storage.base import ObjectKey, ObjectStore
from core.storage.manifest import MANIFEST
from core.tables import BatchRow, CheckpointRow, FileRow, JobRow, ProjectRow, StateRow, UploadPartRow

log = logging.getLogger("worker.light.orphans")

ORPHAN_SECONDS = 24 * 3600.0
_HOURS = 3600.0
_AT_ONCE = 500
_JOB_KINDS = {"rollouts": 6, "states": 7, "checkpoints": 7}
"""What stands below `project/jobs/job/epoch`, and at least how many segments its keys have."""


class OrphanObjects:
    """Deletes objects of files, uploads and jobs that no row names and that are older than `min_age` seconds.

    Objects of any other kind are left alone. `clock` is the store's, in unix seconds.
    """

    name = "orphan objects"
    every = 6 * _HOURS

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        min_age: float = ORPHAN_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._objects = objects
        self._min_age = min_age
        self._clock = clock

    def run(self) -> None:
        """One walk over all projects, and over what writers began and did not end."""
        if unfinished := self._objects.sweep(min_age=self._min_age):
            log.info("%d unfinished objects deleted", unfinished)
        for project_id in self._all(ProjectRow.project_id, select(ProjectRow.project_id)):
            self._sweep_named_by_id(project_id, "files", FileRow.id)
            self._sweep_named_by_id(project_id, "uploads", UploadPartRow.id)
            for job_id in self._all(JobRow.id, select(JobRow.id).where(JobRow.project_id == project_id)):
                self._sweep_job(project_id, job_id)

    def _sweep_named_by_id(self, project_id: str, kind: str, column: InstrumentedAttribute[str]) -> None:
        """Objects `project/kind/id`, kept where the row of that id is there."""
        keys = self._objects.list(ObjectKey.of(project_id, kind))
        while some := {key.segments[-1]: key for key in islice(keys, _AT_ONCE)}:
            with self._database.read() as session:
                known = set(session.scalars(select(column).where(column.in_(some))))
            self._delete_old(key for name, key in some.items() if name not in known)

    def _sweep_job(self, project_id: str, job_id: str) -> None:
        """A job's rollouts, training states and checkpoints. The objects are listed before the rows that name them are read."""
        keys = [key for key in self._objects.list(ObjectKey.of(project_id, "jobs", job_id)) if _is_of_a_job(key)]
        if not keys:
            return
        with self._database.read() as session:
            batches = set(session.scalars(select(BatchRow.object_key).where(BatchRow.job_id == job_id)))
            states = session.scalars(select(StateRow.manifest_key).where(StateRow.job_id == job_id)).all()
            checkpoints = session.scalars(select(CheckpointRow.manifest_key).where(CheckpointRow.job_id == job_id)).all()
        manifests = {*states, *checkpoints}
        self._delete_old(key for key in keys if str(key) not in batches and str(_manifest_of(key)) not in manifests)

    def _delete_old(self, keys: Iterable[ObjectKey]) -> None:
        newest = self._clock() - self._min_age
        for key in keys:
            with suppress(KeyError):  # another sweeper was here
                if self._objects.written_at(key) <= newest:
                    self._objects.delete(key)
                    log.info("%s deleted: no row names it", key)

    def _all(self, column: InstrumentedAttribute[str], query: Select[str]) -> Iterator[str]:
        """The query's values in order, without a transaction that lasts for the whole walk."""
        last = ""
        while True:
            with self._database.read() as session:
                values = session.scalars(query.where(column > last).order_by(column).limit(_AT_ONCE)).all()
            yield from values
            if len(values) < _AT_ONCE:
                return
            last = values[-1]


def _is_of_a_job(key: ObjectKey) -> bool:
    segments = key.segments
    return len(segments) >= 6 and len(segments) >= _JOB_KINDS.get(segments[4], len(segments) + 1)


def _manifest_of(key: ObjectKey) -> ObjectKey:
    """The manifest beside an object of a state or checkpoint: `project/jobs/job/epoch/kind/step-N/...`."""
    return ObjectKey((*key.segments[:6], MANIFEST))
