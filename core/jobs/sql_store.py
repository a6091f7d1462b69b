"""`JobStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from sqlalchemy import Select, select, tuple_

from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.jobs import state
from core.jobs.sql_rows import VALIDATE_TOPIC, append_event, batch_of, checkpoint_of, find_job, job_of, move, owe
from core.jobs.types import BatchRecord, Checkpoint, Job, JobCommand, JobStatus, Json, NewJob, Page
from core.tables import BatchRow, CheckpointRow, JobRow, StepRow

_COMMAND_EVENTS = {
    JobCommand.PAUSE: state.PAUSED,
    JobCommand.RESUME: state.RESUMED,
    JobCommand.CANCEL: state.CANCELLED,
}


class SqlJobStore:
    """The jobs of one project. Implements `core.jobs.base.JobStore`."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._database = database
        self._project_id = project_id

    def create(self, new: NewJob) -> Job:
        """Write the job, its first events and its outbox row in one transaction."""
        with self._database.begin() as session:
            now = self._database.time(session)
            row = JobRow(
                id=new_id("ftjob-"),
                project_id=self._project_id,
                created_at=now,
                status=JobStatus.VALIDATING_FILES,
                request=new.request,
                base_model=new.base_model,
                seed=new.seed,
            )
            session.add(row)
            session.flush()
            append_event(session, row, state.created(row.id), now, data={})
            append_event(session, row, state.validating(new.training_file, new.validation_file), now)
            owe(session, row, VALIDATE_TOPIC, {"job_id": row.id}, now)
            return job_of(row)

    def get(self, job_id: str) -> Job:
        """The job as it stands; raises `NotFound`."""
        with self._database.read() as session:
            return job_of(find_job(session, self._project_id, job_id))

    def list(self, *, after: str | None, limit: int, metadata: Mapping[str, str] | None) -> Page[Job]:
        """Newest first, after the job `after`; `metadata` keeps those that carry all its pairs. Raises `InvalidRequest`."""
        query = select(JobRow).where(JobRow.project_id == self._project_id)
        with self._database.read() as session:
            if after is not None:
                cursor = session.scalar(query.where(JobRow.id == after))
                if cursor is None:
                    raise unknown_cursor(after)
                query = query.where(tuple_(JobRow.created_at, JobRow.id) < tuple_(cursor.created_at, cursor.id))
            query = query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).execution_options(yield_per=100)
            with closing(session.scalars(query)) as rows:
                matching = (row for row in rows if _carries(row.request, metadata or {}))
                jobs = tuple(job_of(row) for row in islice(matching, limit + 1))
            return Page(jobs[:limit], has_more=len(jobs) > limit)

    def command(self, job_id: str, command: JobCommand) -> Job:
        """Apply PAUSE, RESUME or CANCEL with its event in one transaction; raises `NotFound` and `WrongState`.

        A paused job keeps its runner's lease until the runner lets go; a cancelled one takes it away at once.
        """
        with self._database.begin() as session:
            row = find_job(session, self._project_id, job_id, lock=True)
            now = self._database.time(session)
            move(session, row, command, now)
            if command is JobCommand.RESUME:
                row.attempts = 0
            if command is JobCommand.CANCEL:
                row.lease_epoch += 1
            append_event(session, row, _COMMAND_EVENTS[command], now)
            return job_of(row)

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[Checkpoint]:
        """The job's checkpoints, latest step first; raises `NotFound`, and `InvalidRequest` for a cursor not of this job."""
        with self._database.read() as session:
            find_job(session, self._project_id, job_id)
            query = self._of_job(CheckpointRow, job_id)
            if after is not None:
                cursor = session.scalar(query.where(CheckpointRow.id == after))
                if cursor is None:
                    raise unknown_cursor(after)
                query = query.where(CheckpointRow.step < cursor.step)
            rows = session.scalars(query.order_by(CheckpointRow.step.desc()).limit(limit + 1)).all()
            return Page(tuple(checkpoint_of(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def steps(self, job_id: str, *, after_step: int) -> Sequence[Json]:
        """Metrics of the committed steps above `after_step`, in order; raises `NotFound`."""
        with self._database.read() as session:
            find_job(session, self._project_id, job_id)
            query = self._of_job(StepRow, job_id).where(StepRow.step > after_step).order_by(StepRow.step)
            return tuple(row.metrics for row in session.scalars(query))

    def batches(self, job_id: str, *, step: int, split: str | None) -> Sequence[BatchRecord]:
        """The kept sampling batches of one step, those of training first, in order; raises `NotFound`."""
        with self._database.read() as session:
            find_job(session, self._project_id, job_id)
            query = self._of_job(BatchRow, job_id).where(BatchRow.step == step)
            if split is not None:
                query = query.where(BatchRow.split == split)
            return tuple(batch_of(row) for row in session.scalars(query.order_by(BatchRow.split, BatchRow.index)))

    def _of_job(self, table: Any, job_id: str) -> Select[Any]:
        return select(table).where(table.job_id == job_id, table.project_id == self._project_id)


def _carries(request: Json, metadata: Mapping[str, str]) -> bool:
    # Not in SQL: PostgreSQL reads nothing out of JSON that holds an escaped NUL anywhere, SQLite's paths cannot quote every key.
    carried = request.get("metadata") or {}
    return all(carried.get(key) == value for key, value in metadata.items())


def unknown_cursor(after: str) -> InvalidRequest:
    """The error for a cursor that is none of the list's own ids."""
    return InvalidRequest(f"No such object in this list: {after}", param="after", code="invalid_cursor")
