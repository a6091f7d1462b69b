"""Objects that no row names: of a process killed between a write and its row, or between a row's end and the deletion.

Three things keep what is not an orphan. An object is one only when it is old: what was written lately may be the work of somebody
who has not come to its row yet, a file whose client is still sending the form's last field. What a runner writes stays as long as
that runner may still write rows, which its epoch tells whatever the clocks say. And what was written before its project existed
belongs to another database: a service that was started on an empty one by mistake deletes nothing of the full one's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import groupby, islice

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from core.db import Database
from core.jobs import state
from core.storage.base import ObjectKey, ObjectStore
from core.storage.manifest import MANIFEST
from core.tables import BatchRow, CheckpointRow, FileRow, JobRow, ProjectRow, StateRow, UploadPartRow
from worker.light.base import Swept

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
        self.sweep()

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """One walk over all projects, and over what writers began and did not end. Bytes are not known."""
        unfinished = self._objects.sweep(min_age=self._min_age, dry_run=dry_run)
        count = unfinished + sum(self._sweep_project(project_id, dry_run) for project_id in self._projects())
        if count and not dry_run:
            log.info("%d orphans deleted, %d of them unfinished", count, unfinished)
        return Swept(count, None if count else 0)

    def _sweep_project(self, project_id: str, dry_run: bool) -> int:
        with self._database.read() as session:
            begin = session.scalars(select(ProjectRow.created_at).where(ProjectRow.project_id == project_id)).one()
        orphans = (
            *self._unnamed(project_id, "files", FileRow.id),
            *self._unnamed(project_id, "uploads", UploadPartRow.id),
            *self._unnamed_of_jobs(project_id),
        )
        return sum(self._delete_old(key, begin, dry_run) for key in orphans)

    def _unnamed(self, project_id: str, kind: str, column: InstrumentedAttribute[str]) -> Iterator[ObjectKey]:
        """Objects `project/kind/id` without a row of that id."""
        keys = self._objects.list(ObjectKey.of(project_id, kind))
        while some := {key.segments[-1]: key for key in islice(keys, _AT_ONCE)}:
            with self._database.read() as session:
                known = set(session.scalars(select(column).where(column.in_(some))))
            yield from (key for name, key in some.items() if name not in known)

    def _unnamed_of_jobs(self, project_id: str) -> Iterator[ObjectKey]:
        """Rollouts, training states and checkpoints that no row of their job names."""
        keys = filter(_is_of_a_job, self._objects.list(ObjectKey.of(project_id, "jobs")))
        # Stores list what lies below one prefix together; where one does not, a job is looked at more than once.
        for job_id, found in groupby(keys, key=lambda key: key.segments[2]):
            yield from self._unnamed_of(project_id, job_id, list(found))

    def _unnamed_of(self, project_id: str, job_id: str, keys: Collection[ObjectKey]) -> Iterator[ObjectKey]:
        """Of objects that were listed before, those that no row names and no row will."""
        closed = self._closed_before(project_id, job_id)
        if closed is None:
            return
        # Rows are read after the epoch: whoever wrote under an older one had committed by then.
        with self._database.read() as session:
            batches = set(session.scalars(select(BatchRow.object_key).where(BatchRow.job_id == job_id)))
            states = session.scalars(select(StateRow.manifest_key).where(StateRow.job_id == job_id)).all()
            checkpoints = session.scalars(select(CheckpointRow.manifest_key).where(CheckpointRow.job_id == job_id)).all()
        manifests = {*states, *checkpoints}
        for key in keys:
            named = str(key) in batches or str(_manifest_of(key)) in manifests
            if not named and _epoch_of(key) < closed:
                yield key

    def _closed_before(self, project_id: str, job_id: str) -> float | None:
        """The epoch under which a runner may still write rows; infinity where none may, None where there is no such job."""
        query = select(JobRow.lease_epoch, JobRow.lease_owner, JobRow.status)
        with self._database.read() as session:
            row = session.execute(query.where(JobRow.id == job_id, JobRow.project_id == project_id)).one_or_none()
        if row is None:
            return None
        may_write = row.lease_owner is not None and row.status in state.LEASED
        return float(row.lease_epoch) if may_write else float("inf")

    def _delete_old(self, key: ObjectKey, begin: float, dry_run: bool) -> bool:
        """Delete an orphan that is old enough, and not older than its project; whether it is."""
        with suppress(KeyError):  # another sweeper was here
            written_at = self._objects.written_at(key)
            if written_at < begin:
                log.warning("%s is older than its project in this database and stays: is it the right database?", key)
            elif written_at <= self._clock() - self._min_age:
                if not dry_run:
                    self._objects.delete(key)
                    log.info("%s deleted: no row names it", key)
                return True
        return False

    def _projects(self) -> Iterator[str]:
        """All projects' ids, without a transaction that lasts for the whole walk."""
        last = ""
        while True:
            query = select(ProjectRow.project_id).where(ProjectRow.project_id > last).order_by(ProjectRow.project_id)
            with self._database.read() as session:
                found = session.scalars(query.limit(_AT_ONCE)).all()
            yield from found
            if len(found) < _AT_ONCE:
                return
            last = found[-1]


def _is_of_a_job(key: ObjectKey) -> bool:
    segments = key.segments
    is_known = len(segments) >= 6 and len(segments) >= _JOB_KINDS.get(segments[4], len(segments) + 1)
    return is_known and segments[3][:1] == "e" and segments[3][1:].isdecimal()


def _epoch_of(key: ObjectKey) -> int:
    return int(key.segments[3][1:])


def _manifest_of(key: ObjectKey) -> ObjectKey:
    """The manifest beside an object of a state or checkpoint: `project/jobs/job/epoch/kind/step-N/...`."""
    return ObjectKey((*key.segments[:6], MANIFEST))
