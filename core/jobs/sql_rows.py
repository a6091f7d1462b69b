"""What the SQL stores of jobs share: rows to values, and the one way in which a job's row moves.

Everything here that writes works on a row that its caller has locked, inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core.db import MOVED
from core.errors import NotFound
from core.ids import new_id
from core.jobs import state
from core.jobs.types import BatchRecord, Checkpoint, Event, Job, JobCommand, JobStatus, Json, StateRecord
from core.tables import BatchRow, CheckpointRow, EventRow, JobRow, OutboxRow, StateRow

VALIDATE_TOPIC = "job.validate"
DISPATCH_TOPIC = "job.dispatch"
WEBHOOK_TOPIC = "webhook"


def find_job(session: Session, project_id: str, job_id: str, *, lock: bool = False) -> JobRow:
    """The project's job, locked to the end of the transaction where asked; raises `NotFound` for unknown and foreign ids."""
    query = select(JobRow).where(JobRow.id == job_id, JobRow.project_id == project_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise no_such_job(job_id)
    return row


def no_such_job(job_id: str) -> NotFound:
    """The error for the id of no job of the project."""
    return NotFound(f"Could not find fine tune: {job_id}", param="fine_tune_id", code="fine_tune_not_found")


def move(session: Session, job: JobRow, command: JobCommand, now: float) -> None:
    """Apply `command` to the row, with what the new status owes others. Raises `WrongState`, the row unchanged."""
    job.status = state.next_status(JobStatus(job.status), command)
    job.error = None
    if job.status == JobStatus.QUEUED:
        owe(session, job, DISPATCH_TOPIC, {"job_id": job.id}, now)
    if job.status in state.TERMINAL:
        job.finished_at = now
        job.lease_owner = job.lease_expires_at = None
        owe(session, job, WEBHOOK_TOPIC, {"type": f"fine_tuning.job.{job.status}", "job_id": job.id}, now)
    if job.status != JobStatus.RUNNING:
        job.estimated_finish = None


def fail(session: Session, job: JobRow, error: Json, now: float) -> None:
    """End the job `failed` with its error object and an event that tells it. Raises `WrongState`."""
    move(session, job, JobCommand.FAIL, now)
    job.error = error
    append_event(session, job, str(error["message"]), now, level="error", data=error)


def append_event(
    session: Session,
    job: JobRow,
    message: str,
    now: float,
    *,
    level: str = "info",
    kind: Literal["message", "metrics"] = "message",
    data: Json | None = None,
) -> None:
    """Write the job's next event. The number comes from the locked row, so that the sequence has no gap."""
    session.add(
        EventRow(
            job_id=job.id,
            seq=job.next_seq,
            id=new_id("ftevent-"),
            project_id=job.project_id,
            created_at=now,
            level=level,
            type=kind,
            message=storable(message),
            data=data,
        )
    )
    job.next_seq += 1
    tell(session, job)


def tell(session: Session, job: JobRow) -> None:
    """Let those who wait for the job know, once the transaction stands, that there is something to see."""
    session.info.setdefault(MOVED, {})[job.id] = job.status


def owe(session: Session, job: JobRow, topic: str, payload: Json, now: float) -> None:
    """Write a message to be relayed once the transaction stands."""
    session.add(OutboxRow(project_id=job.project_id, topic=topic, payload=payload, created_at=now, sent_at=None))


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold (NUL, lone surrogates): messages quote graders' output."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def job_of(row: JobRow | Row[Any]) -> Job:
    """The row, or one of a query for all columns, as a value."""
    return Job(
        id=row.id,
        project_id=row.project_id,
        created_at=row.created_at,
        status=JobStatus(row.status),
        request=row.request,
        base_model=row.base_model,
        seed=row.seed,
        plan=row.plan,
        step=row.step,
        trained_tokens=row.trained_tokens,
        train_seconds=row.train_seconds,
        usage=row.usage,
        fine_tuned_model=row.fine_tuned_model,
        result_files=tuple(row.result_files),
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
        estimated_finish=row.estimated_finish,
        lease_epoch=row.lease_epoch,
        attempts=row.attempts,
        eval_id=row.eval_id,
        initial_checkpoint_id=row.initial_checkpoint_id,
        traceparent=row.traceparent,
    )


def event_of(row: EventRow | Row[Any]) -> Event:
    """The row, or one of a query for all columns, as a value."""
    return Event(
        id=row.id,
        seq=row.seq,
        created_at=row.created_at,
        level=cast('Literal["info", "warn", "error"]', row.level),
        type=cast('Literal["message", "metrics"]', row.type),
        message=row.message,
        data=row.data,
    )


def checkpoint_of(row: CheckpointRow) -> Checkpoint:
    """The row as a value."""
    return Checkpoint(
        id=row.id,
        project_id=row.project_id,
        job_id=row.job_id,
        created_at=row.created_at,
        step=row.step,
        model_name=row.model_name,
        manifest_key=row.manifest_key,
        metrics=row.metrics,
        valid_reward=row.valid_reward,
    )


def batch_of(row: BatchRow) -> BatchRecord:
    """The row as a value."""
    return BatchRecord(
        split=cast(Literal["train", "valid"], row.split),
        step=row.step,
        index=row.index,
        object_key=row.object_key,
        sha256=row.sha256,
        samples=row.samples,
        bytes=row.bytes,
    )


def state_of(row: StateRow) -> StateRecord:
    """The row as a value."""
    return StateRecord(step=row.step, manifest_key=row.manifest_key, bytes=row.bytes)
