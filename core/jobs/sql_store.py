"""`JobStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import aliased

from core.creations import Attempt, made_before, remember
from core.db import Database
from core.errors import InvalidRequest
from core.failpoints import hit
from core.ids import new_id
from core.jobs import state
from core.jobs.metadata import NO_METADATA, digests
from core.jobs.sql_rows import VALIDATE_TOPIC, append_event, batch_of, checkpoint_of, find_job, job_of, move, owe
from core.jobs.types import BatchRecord, Checkpoint, Job, JobCommand, JobStatus, Json, NewJob, Page
from core.limits.base import NO_LIMITS, Limits
from core.limits.project import check_waiting_jobs
from core.tables import BatchRow, CheckpointRow, JobMetadataRow, JobRow, StepRow

_COMMAND_EVENTS = {
    JobCommand.PAUSE: state.PAUSED,
    JobCommand.RESUME: state.RESUMED,
    JobCommand.CANCEL: state.CANCELLED,
}


class SqlJobStore:
    """The jobs of one project. Implements `core.jobs.base.JobStore`."""

    def __init__(self, database: Database, project_id: str, limits: Limits = NO_LIMITS) -> None:
        self._database = database
        self._project_id = project_id
        self._limits = limits

    def create(self, new: NewJob, attempt: Attempt | None = None) -> Job:
        """Write the job, its first events and its outbox row in one transaction; an `attempt` that came before gets its job.

        Raises `QuotaExceeded` where too many of the project's jobs wait already.
        """
        with self._database.begin() as session:
            now = self._database.time(session)
            earlier = None if attempt is None else made_before(session, self._project_id, attempt, now)
            if earlier is not None:
                return job_of(find_job(session, self._project_id, earlier))
            check_waiting_jobs(session, self._project_id, self._limits)
            row = JobRow(
                id=new_id("ftjob-"),
                project_id=self._project_id,
                created_at=now,
                status=JobStatus.VALIDATING_FILES,
                request=new.request,
                base_model=new.base_model,
                seed=new.seed,
                initial_checkpoint_id=new.initial_checkpoint_id,
                niceness=-new.priority,
                traceparent=new.traceparent,
            )
            session.add(row)
            session.flush()
            for pair in digests(new.request.get("metadata")):
                session.add(JobMetadataRow(project_id=row.project_id, pair=pair, created_at=now, job_id=row.id))
            append_event(session, row, state.created(row.id), now, data={})
            append_event(session, row, state.validating(new.training_file, new.validation_file), now)
            for warning in new.warnings:
                append_event(session, row, warning, now, level="warn")
            owe(session, row, VALIDATE_TOPIC, {"job_id": row.id}, now)
            if attempt is not None:
                remember(session, self._project_id, attempt, row.id, now)
            hit("job_before_commit")
            job = job_of(row)
        hit("job_after_commit")
        return job

    def get(self, job_id: str) -> Job:
        """The job as it stands; raises `NotFound`."""
        with self._database.read() as session:
            return job_of(find_job(session, self._project_id, job_id))

    def list(
        self, *, after: str | None, limit: int, metadata: Mapping[str, str] | None, without_metadata: bool = False
    ) -> Page[Job]:
        """Newest first, after the job `after`; `metadata` keeps those that carry all its pairs. Raises `InvalidRequest`.

        `without_metadata` keeps those whose metadata is null.
        """
        pairs = [NO_METADATA] if without_metadata else digests(metadata or {})
        with self._database.read() as session:
            place = None
            if after is not None:
                cursor = session.scalar(self._own().where(JobRow.id == after))
                if cursor is None:
                    raise unknown_cursor(after)
                place = (cursor.created_at, cursor.id)
            rows = session.scalars(self._page(pairs, place).limit(limit + 1)).all()
            return Page(tuple(job_of(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def command(
        self,
        job_id: str,
        command: JobCommand,
        *,
        grader: Json | None = None,
        budget_seconds: float | None = None,
        error: Json | None = None,
    ) -> Job:
        """Apply PAUSE, RESUME or CANCEL with its event in one transaction; raises `NotFound` and `WrongState`.

        With RESUME a `grader` and a budget take the places of the job's; raises `InvalidRequest` for a budget that is used up
        already. With PAUSE `error` is why the job stops by itself, shown as long as it is paused. A paused job keeps its runner's
        lease until the runner lets go; a cancelled one takes it away at once.
        """
        with self._database.begin() as session:
            row = find_job(session, self._project_id, job_id, lock=True)
            now = self._database.time(session)
            move(session, row, command, now)
            if command is JobCommand.RESUME:
                row.attempts = 0
                if grader is not None:
                    row.request = _with_grader(row.request, grader)
                    append_event(session, row, state.GRADER_REPLACED, now)
                if budget_seconds is not None:
                    _set_budget(row, budget_seconds)
                    append_event(session, row, state.budget_set(budget_seconds), now)
            if command is JobCommand.PAUSE:
                row.error = error
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

    def checkpoint(self, checkpoint_id: str) -> Checkpoint | None:
        """The project's checkpoint of this id, if it exists."""
        with self._database.read() as session:
            row = session.get(CheckpointRow, checkpoint_id)
            return None if row is None or row.project_id != self._project_id else checkpoint_of(row)

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

    def _own(self) -> Select[JobRow]:
        return select(JobRow).where(JobRow.project_id == self._project_id)

    def _page(self, pairs: Sequence[str], after: tuple[float, str] | None) -> Select[JobRow]:
        """The project's jobs that have all these metadata pairs, newest first, older than `after`.

        The order is that of the index which is read: the first pair's, or the jobs' own where there is none.
        """
        query, place = self._own(), (JobRow.created_at, JobRow.id)
        if pairs:
            first = aliased(JobMetadataRow)
            place = (first.created_at, first.job_id)
            query = query.join(first, JobRow.id == first.job_id)
            query = query.where(first.project_id == self._project_id, first.pair == pairs[0])
            for pair in pairs[1:]:
                query = query.where(self._also_has(first, pair))
        if after is not None:
            query = query.where(tuple_(*place) < tuple_(*after))
        return query.order_by(*(column.desc() for column in place))

    def _also_has(self, first: type[JobMetadataRow], pair: str) -> ColumnElement[bool]:
        # A count, and not EXISTS: PostgreSQL makes a join of that, believes that hardly a row is left, and sorts whole tables.
        other = aliased(JobMetadataRow)
        same = select(func.count()).where(
            other.project_id == self._project_id,
            other.pair == pair,
            other.created_at == first.created_at,
            other.job_id == first.job_id,
        )
        return same.scalar_subquery() > 0

    def _of_job(self, table: Any, job_id: str) -> Select[Any]:
        return select(table).where(table.job_id == job_id, table.project_id == self._project_id)


def _with_grader(request: Json, grader: Json) -> Json:
    method = request["method"]
    return {**request, "method": {**method, "reinforcement": {**method["reinforcement"], "grader": grader}}}


def _set_budget(row: JobRow, seconds: float) -> None:
    if seconds <= row.train_seconds:
        message = f"The job has trained for {row.train_seconds:.1f} seconds already: a new budget has to be above that."
        raise InvalidRequest(message, param="touchstone.budget_seconds", code="invalid_value")
    row.request = {**row.request, "touchstone": {**(row.request.get("touchstone") or {}), "budget_seconds": seconds}}
    assert row.plan is not None  # what was paused had been planned
    row.plan = {**row.plan, "budget_seconds": seconds}


def unknown_cursor(after: str) -> InvalidRequest:
    """The error for a cursor that is none of the list's own ids."""
    return InvalidRequest(f"No such object in this list: {after}", param="after", code="invalid_cursor")
