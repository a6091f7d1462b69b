"""A job's validations, read as evals: one eval a job, one run a validated step. Nothing is stored for them but the eval's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, exists, func, select, tuple_

from core.db import Database
from core.errors import NotFound
from core.jobs.sql_rows import batch_of, job_of
from core.jobs.sql_store import unknown_cursor
from core.jobs.types import BatchRecord, Job, JobStatus, Json, Page
from core.tables import BatchRow, JobRow, StepRow


class RunStatus(StrEnum):
    """How far a run is, in OpenAI's words."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


_UNFINISHED = {JobStatus.FAILED: RunStatus.FAILED, JobStatus.CANCELLED: RunStatus.CANCELED}
"""What a run that was never committed is, by its job's status; in progress otherwise."""


@dataclass(frozen=True)
class Run:
    """The validation after `step` updates. `created_at` is in unix seconds."""

    step: int
    created_at: float
    status: RunStatus
    batches: tuple[BatchRecord, ...]
    """The kept rollouts so far."""
    judges: Json
    """Tokens that judges used in the step (`model_graders_token_usage` of its metrics)."""


class EvalStore:
    """The evals of one project. Unknown and foreign ids raise `NotFound`."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._database = database
        self._project_id = project_id

    def list(self, *, after: str | None, limit: int, ascending: bool) -> Page[Job]:
        """The jobs that have an eval by the time they started, those after the eval `after`. Raises `InvalidRequest`."""
        place = (JobRow.started_at, JobRow.id)
        query = self._jobs().where(JobRow.started_at.is_not(None), JobRow.eval_id.is_not(None))
        with self._database.read() as session:
            if after is not None:
                last = session.scalar(self._jobs().where(JobRow.eval_id == after))
                if last is None:
                    raise unknown_cursor(after)
                there = tuple_(last.started_at, last.id)
                query = query.where(tuple_(*place) > there if ascending else tuple_(*place) < there)
            query = query.order_by(*(column.asc() if ascending else column.desc() for column in place))
            rows = session.scalars(query.limit(limit + 1)).all()
            return Page(tuple(job_of(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def get(self, eval_id: str) -> Job:
        """The job of an eval."""
        with self._database.read() as session:
            row = session.scalar(self._jobs().where(JobRow.eval_id == eval_id))
            if row is None:
                raise NotFound(f"Could not find eval: {eval_id}", param="eval_id", code="eval_not_found")
            return job_of(row)

    def runs(self, job: Job, *, after: int | None, limit: int, ascending: bool, status: RunStatus | None) -> Page[Run]:
        """The job's runs in order of their steps, those after the step `after`."""
        query = self._validated(job)
        if after is not None:
            query = query.where(BatchRow.step > after if ascending else BatchRow.step < after)
        if status is not None:
            query = query.where(self._has(job, status))
        query = query.order_by(BatchRow.step.asc() if ascending else BatchRow.step.desc())
        found = self._read(job, query.limit(limit + 1))
        return Page(found[:limit], has_more=len(found) > limit)

    def run(self, job: Job, step: int) -> Run | None:
        """The run of one step, if there is one."""
        return next(iter(self._read(job, self._validated(job).where(BatchRow.step == step))), None)

    def _jobs(self) -> Select[JobRow]:
        return select(JobRow).where(JobRow.project_id == self._project_id)

    def _validated(self, job: Job) -> Select[int, float]:
        """(step, when its first rollouts were kept) of each step with validation rollouts."""
        query = select(BatchRow.step, func.min(BatchRow.created_at))
        return query.where(*self._validation(job)).group_by(BatchRow.step)

    def _validation(self, job: Job) -> tuple[ColumnElement[bool], ...]:
        return (BatchRow.job_id == job.id, BatchRow.project_id == self._project_id, BatchRow.split == "valid")

    def _has(self, job: Job, status: RunStatus) -> ColumnElement[bool]:
        committed = exists().where(
            StepRow.job_id == job.id, StepRow.project_id == self._project_id, StepRow.step == BatchRow.step
        )
        if status is RunStatus.COMPLETED:
            return committed
        return ~committed if status is _unfinished(job) else BatchRow.step < 0

    def _read(self, job: Job, query: Select[int, float]) -> tuple[Run, ...]:
        with self._database.read() as session:
            begun = session.execute(query).all()
            steps = [step for step, _ in begun]
            committed = {
                row.step: row.metrics
                for row in session.scalars(
                    select(StepRow).where(
                        StepRow.job_id == job.id, StepRow.project_id == self._project_id, StepRow.step.in_(steps)
                    )
                )
            }
            kept = select(BatchRow).where(*self._validation(job), BatchRow.step.in_(steps)).order_by(BatchRow.index)
            batches = [batch_of(row) for row in session.scalars(kept)]
        return tuple(_run(job, step, created_at, committed.get(step), batches) for step, created_at in begun)


def _run(job: Job, step: int, created_at: float, metrics: Json | None, batches: Sequence[BatchRecord]) -> Run:
    status = _unfinished(job) if metrics is None else RunStatus.COMPLETED
    judges = (metrics or {}).get("model_graders_token_usage") or {}
    return Run(step, created_at, status, tuple(batch for batch in batches if batch.step == step), judges)


def _unfinished(job: Job) -> RunStatus:
    return _UNFINISHED.get(job.status, RunStatus.IN_PROGRESS)
