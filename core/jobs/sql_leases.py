"""`LeaseStore` over SQLAlchemy, and the fence that every write of a lease's holder passes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import LeaseLost
from core.ids import new_id
from core.jobs import state
from core.jobs.sql_claim import is_lost, is_queued_and_due, next_due
from core.jobs.sql_rows import append_event, fail, job_of, move, tell
from core.jobs.types import Job, JobCommand, JobStatus, Json, Lease
from core.limits.base import NO_LIMITS, Limits
from core.tables import EventRow, JobRow

_UNVALIDATED_AT_ONCE = 20


class SqlLeaseStore:
    """What a supervisor does with jobs of every project. Implements `core.jobs.base.LeaseStore`."""

    def __init__(self, database: Database, limits: Limits = NO_LIMITS) -> None:
        self._database = database
        self._limits = limits

    def unvalidated(self, job_id: str | None = None) -> Sequence[Job]:
        """Jobs in `validating_files`, oldest first and not too many at once; of those only `job_id` where it is given."""
        query = select(JobRow).where(JobRow.status == JobStatus.VALIDATING_FILES).order_by(JobRow.created_at, JobRow.id)
        if job_id is not None:
            query = query.where(JobRow.id == job_id)
        with self._database.read() as session:
            return tuple(job_of(row) for row in session.scalars(query.limit(_UNVALIDATED_AT_ONCE)))

    def validated(self, job: Job, plan: Json) -> None:
        """Queue the job with its resolved plan; does nothing where its status has changed meanwhile."""
        with self._database.begin() as session:
            row = session.scalar(_unvalidated(job).with_for_update())
            if row is not None:
                now = self._database.time(session)
                move(session, row, JobCommand.VALIDATED, now)
                row.plan = plan
                append_event(session, row, state.VALIDATED, now)

    def rejected(self, job: Job, error: Json) -> None:
        """Fail a job whose files are no good; does nothing where its status has changed meanwhile."""
        with self._database.begin() as session:
            row = session.scalar(_unvalidated(job).with_for_update())
            if row is not None:
                fail(session, row, error, self._database.time(session))

    def claim(self, owner: str, ttl: float, models: Collection[str] | None = None) -> Lease | None:
        """Take the job whose turn it is (`core.jobs.sql_claim`) for `ttl` seconds, raising its epoch; None where none is due.

        Due is a queued job that its last runner has let go of, unless its project runs as many as it may, and a running one
        whose lease has expired; with `models`, only jobs on these base models.
        A job claimed `MAX_ATTEMPTS` times without a committed step in between is failed on the way.
        """
        with self._database.begin() as session:
            now = self._database.time(session)
            while (row := next_due(session, now, models, self._limits)) is not None:
                if row.attempts < state.MAX_ATTEMPTS:
                    return _take(session, row, owner, now, ttl)
                fail(session, row, {"code": "worker_lost", "message": state.GAVE_UP, "param": None}, now)
            return None

    def renew(self, lease: Lease, ttl: float) -> None:
        """Hold the lease for `ttl` seconds from now; raises `LeaseLost`."""
        with self._database.begin() as session:
            row = fenced(session, lease)
            row.lease_expires_at = self._database.time(session) + ttl

    def release(self, lease: Lease, *, delay: float = 0.0, counted: bool = True) -> None:
        """Let go; a job still `running` becomes due again after `delay` seconds. Does nothing for a lost lease.

        `counted=False` is for a worker that is shut down in order: the attempt does not count against the job.
        """
        with self._database.begin() as session:
            row = session.scalar(_held(lease).with_for_update())
            if row is not None:
                running = row.status == JobStatus.RUNNING
                row.lease_owner = None
                row.attempts -= 0 if counted or not row.attempts else 1
                row.lease_expires_at = self._database.time(session) + delay if running else None
                tell(session, row)

    def job(self, lease: Lease) -> Job:
        """The leased job; raises `LeaseLost`."""
        with self._database.read() as session:
            row = session.scalar(_held(lease))
            if row is None:
                raise _lost(lease)
            return job_of(row)


def find_due(database: Database, limit: int) -> Sequence[str]:
    """Ids of jobs that a worker could claim now, of all projects."""
    with database.read() as session:
        now = database.time(session)
        found = [
            session.scalars(select(JobRow.id).where(condition).limit(limit)).all()
            for condition in (is_lost(now), is_queued_and_due(now))
        ]
        return [job_id for ids in found for job_id in ids][:limit]


def fenced(session: Session, lease: Lease) -> JobRow:
    """The leased job's row, locked to the end of the transaction; raises `LeaseLost` where the lease no longer holds.

    An expired lease holds until another claims the job: only then could two write.
    """
    row = session.scalar(_held(lease).with_for_update())
    if row is None:
        raise _lost(lease)
    return row


def _held(lease: Lease) -> Select[JobRow]:
    return select(JobRow).where(
        JobRow.id == lease.job_id,
        JobRow.project_id == lease.project_id,
        JobRow.lease_epoch == lease.epoch,
        JobRow.lease_owner.is_not(None),
        JobRow.status.in_(state.LEASED),
    )


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"Lease {lease.epoch} on job {lease.job_id} is lost: the job has ended or another runner has it.")


def _unvalidated(job: Job) -> Select[JobRow]:
    return select(JobRow).where(
        JobRow.id == job.id, JobRow.project_id == job.project_id, JobRow.status == JobStatus.VALIDATING_FILES
    )


def _estimated_finish(row: JobRow, now: float) -> float | None:
    """For a job that goes on: its steps to come take as long as those behind it took; None before the first."""
    total_steps = (row.plan or {}).get("total_steps", 0)
    return now + (total_steps - row.step) * row.train_seconds / row.step if 0 < row.step <= total_steps else None


def _take(session: Session, row: JobRow, owner: str, now: float, ttl: float) -> Lease:
    message, level = _announcement(session, row)
    move(session, row, JobCommand.CLAIM, now)
    row.lease_epoch += 1
    row.lease_owner = owner
    row.lease_expires_at = now + ttl
    row.attempts += 1
    append_event(session, row, message, now, level=level)
    if row.started_at is None:
        row.started_at = now
        row.eval_id = new_id("eval_") if row.request.get("validation_file") else None
    row.estimated_finish = _estimated_finish(row, now)
    return Lease(job_id=row.id, project_id=row.project_id, epoch=row.lease_epoch)


def _announcement(session: Session, row: JobRow) -> tuple[str, str]:
    """The event that tells of a claim, and its level."""
    if row.status != JobStatus.RUNNING:
        return (state.STARTED if row.started_at is None else state.CONTINUED), "info"
    newest = session.scalar(select(EventRow.message).where(EventRow.job_id == row.id, EventRow.seq == row.next_seq - 1))
    return (state.CONTINUED, "info") if newest == state.HANDED_OVER else (state.WORKER_LOST, "warn")
