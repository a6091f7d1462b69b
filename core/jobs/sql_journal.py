"""`Journal` over SQLAlchemy: a runner's writes, each one transaction under its lease's fence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import LeaseLost, WrongState
from core.files import new_file_row
from core.jobs import state
from core.jobs.estimates import estimate_errors
from core.jobs.ranking import best_first
from core.jobs.sql_leases import fenced
from core.jobs.sql_rows import append_event, fail, move
from core.jobs.types import BatchRecord, JobCommand, JobStatus, Json, Lease, NewCheckpoint, StateRecord, StepRecord, Wish
from core.jobs.usage import added, amounts
from core.limits.base import NO_LIMITS, Limits
from core.limits.project import check_stored_bytes
from core.storage.base import Stored
from core.tables import BatchRow, CheckpointRow, JobRow, StateRow, StepRow, TunedModelRow
from core.usage import count

RESULTS_NAME, RESULTS_PURPOSE = "step_metrics.csv", "fine-tune-results"
STATES_KEPT = 2
"""Training states of a job: the newest, and one to fall back on where its objects are found damaged."""


class SqlJournal:
    """A runner's writes on its one job. Implements `core.jobs.base.Journal`.

    What is kept counts for the project's limit of stored bytes: where it is passed, `keep_*` raise `QuotaExceeded` and record
    nothing.
    """

    def __init__(
        self,
        database: Database,
        lease: Lease,
        committed: Callable[[StepRecord], None] = lambda _: None,
        limits: Limits = NO_LIMITS,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        """`committed` hears of every step once it stands; `leaving` tells that the runner itself wishes to let go."""
        self._database = database
        self._lease = lease
        self._committed = committed
        self._limits = limits
        self._leaving = leaving

    def keep_batch(self, batch: BatchRecord) -> Wish:
        """Record a sampling batch whose object is stored; the first of its name stays."""
        with self._write() as (session, job, now):
            if session.get(BatchRow, (job.id, batch.split, batch.step, batch.index)) is None:
                session.add(
                    BatchRow(
                        job_id=job.id,
                        split=batch.split,
                        step=batch.step,
                        index=batch.index,
                        project_id=job.project_id,
                        epoch=self._lease.epoch,
                        created_at=now,
                        object_key=batch.object_key,
                        sha256=batch.sha256,
                        samples=batch.samples,
                        bytes=batch.bytes,
                    )
                )
                self._check_room(session, job)
            return self._wish(job)

    def commit_step(self, record: StepRecord) -> Wish:
        """Record a step's metrics with its metrics event, and count it into the job; a step counts once.

        A step that pauses the job does so in its own transaction: no runner ever finds the one without the other.
        """
        with self._write() as (session, job, now):
            is_new = session.get(StepRow, (job.id, record.step)) is None
            if is_new:
                session.add(
                    StepRow(
                        job_id=job.id,
                        step=record.step,
                        project_id=job.project_id,
                        epoch=self._lease.epoch,
                        created_at=now,
                        metrics=record.metrics,
                    )
                )
                append_event(session, job, record.message, now, kind="metrics", data=record.metrics)
                _count(job, record, now)
                count(session, job.project_id, now, amounts(job.base_model, record))
                if record.pause is not None:
                    _pause(session, job, record.pause, now)
            wish = self._wish(job)
        if is_new:
            self._committed(record)
        return wish

    def keep_state(self, state: StateRecord) -> Sequence[str]:
        """Record a training state; returns the manifest keys left without a row: of states it replaces, or its own.

        The last `STATES_KEPT` written stay; of two of one step the first.
        """
        with self._write() as (session, job, now):
            first = session.get(StateRow, (job.id, state.step))
            if first is not None:
                return () if first.manifest_key == state.manifest_key else (state.manifest_key,)
            session.add(
                StateRow(
                    job_id=job.id,
                    step=state.step,
                    project_id=job.project_id,
                    epoch=self._lease.epoch,
                    created_at=now,
                    manifest_key=state.manifest_key,
                    bytes=state.bytes,
                )
            )
            query = select(StateRow).where(StateRow.job_id == job.id, StateRow.project_id == job.project_id)
            rows = session.scalars(query.order_by(StateRow.epoch.desc(), StateRow.step.desc())).all()
            dropped = _drop(session, rows[STATES_KEPT:])
            self._check_room(session, job)
            return dropped

    def keep_checkpoint(self, new: NewCheckpoint, *, keep_best: int) -> Sequence[str]:
        """Record a checkpoint with its event, drop those neither best nor last; returns the manifest keys left without a row.

        Best are the `keep_best` of the highest validation reward, the earlier of equals. A checkpoint of a step that had one
        before, kept or dropped since, is not recorded: its own manifest key is returned.
        """
        with self._write() as (session, job, now):
            query = select(CheckpointRow).where(CheckpointRow.job_id == job.id, CheckpointRow.project_id == job.project_id)
            rows = list(session.scalars(query.order_by(CheckpointRow.step)))
            if rows and rows[-1].step >= new.step:
                return () if new.manifest_key in {row.manifest_key for row in rows} else (new.manifest_key,)
            row = self._checkpoint_row(job, new, now)
            session.add(row)
            append_event(session, job, state.checkpoint_created(new.step), now)
            dropped = _drop(session, _not_wanted(session, _superseded([*rows, row], keep_best)))
            self._check_room(session, job)
            return dropped

    def event(self, message: str, *, level: str = "info", data: Json | None = None) -> None:
        """Append a message event."""
        with self._write() as (session, job, now):
            append_event(session, job, message, now, level=level, data=data)

    def finish(self, *, model_name: str, checkpoint_id: str, results: Stored) -> Mapping[str, float]:
        """End the job `succeeded`, with its tuned model and the file of its results, whose bytes are stored.

        Returns how wrong its estimates of the end were (`core.jobs.estimates`).

        A job paused meanwhile is not finished: raises `LeaseLost`, and the runner that comes after `resume` does it.
        """
        with self._write() as (session, job, now):
            move(session, job, JobCommand.FINISH, now)
            session.add(
                TunedModelRow(
                    name=model_name, project_id=job.project_id, job_id=job.id, checkpoint_id=checkpoint_id, created_at=now
                )
            )
            job.fine_tuned_model = model_name
            file = new_file_row(results, job.project_id, RESULTS_NAME, RESULTS_PURPOSE, now, None)
            session.add(file)
            job.result_files = [file.id]
            append_event(session, job, state.model_created(model_name), now)
            errors = estimate_errors(session, job, now)
            append_event(session, job, state.SUCCEEDED, now, data={"estimate_errors": dict(errors)})
            return errors

    def fail(self, error: Json) -> None:
        """End the job `failed`, with `error` (code, message, param). Raises `LeaseLost` for a job paused meanwhile."""
        with self._write() as (session, job, now):
            fail(session, job, error, now)

    @contextmanager
    def _write(self) -> Iterator[tuple[Session, JobRow, float]]:
        """One transaction on the locked job, behind the fence."""
        try:
            with self._database.begin() as session:
                job = fenced(session, self._lease)
                yield session, job, self._database.time(session)
        except WrongState as error:
            raise LeaseLost(f"Job {self._lease.job_id} has moved on: {error.message}") from error

    def _wish(self, job: JobRow) -> Wish:
        return Wish.GO_ON if job.status == JobStatus.RUNNING and not self._leaving() else Wish.LET_GO

    def _checkpoint_row(self, job: JobRow, new: NewCheckpoint, now: float) -> CheckpointRow:
        return CheckpointRow(
            id=new.id,
            project_id=job.project_id,
            job_id=job.id,
            step=new.step,
            epoch=self._lease.epoch,
            created_at=now,
            model_name=new.model_name,
            manifest_key=new.manifest_key,
            metrics=new.metrics,
            valid_reward=new.valid_reward,
            bytes=new.bytes,
        )

    def _check_room(self, session: Session, job: JobRow) -> None:
        """Raises `QuotaExceeded` where the project stores too much with what this transaction adds and drops."""
        session.flush()
        check_stored_bytes(session, job.project_id, 0, self._limits)


def _pause(session: Session, job: JobRow, reason: str, now: float) -> None:
    append_event(session, job, reason, now, level="warn")
    if job.status != JobStatus.PAUSED:
        move(session, job, JobCommand.PAUSE, now)
        job.error = {"code": "budget_used", "message": reason, "param": None}
        append_event(session, job, state.PAUSED, now)


def _count(job: JobRow, record: StepRecord, now: float) -> None:
    job.step = record.step
    job.attempts = 0
    job.trained_tokens += record.trained_tokens
    job.train_seconds += record.seconds
    job.usage = added(job.usage, record.metrics)
    if job.status == JobStatus.RUNNING:
        job.estimated_finish = None if record.seconds_left is None else now + record.seconds_left


def _superseded(rows: Sequence[CheckpointRow], keep_best: int) -> Sequence[CheckpointRow]:
    """Of checkpoints in order of their steps: those neither among the best nor the last."""
    kept = {row.id for row in (*best_first(rows)[:keep_best], rows[-1])}
    return [row for row in rows if row.id not in kept]


def _not_wanted(session: Session, rows: Sequence[CheckpointRow]) -> Sequence[CheckpointRow]:
    """Those that no job which is still to end goes on from."""
    wanted = select(JobRow.initial_checkpoint_id).where(
        JobRow.initial_checkpoint_id.in_([row.id for row in rows]), JobRow.status.not_in(state.TERMINAL)
    )
    held = set(session.scalars(wanted)) if rows else set()
    return [row for row in rows if row.id not in held]


def _drop(session: Session, rows: Sequence[StateRow] | Sequence[CheckpointRow]) -> Sequence[str]:
    for row in rows:
        session.delete(row)
    return tuple(row.manifest_key for row in rows)
