"""Limits on what a project has, checked inside the transaction that would add to it.

Each check first locks the project's row: of two transactions that would together go over a limit, the second waits and sees what
the first has written. SQLite has one writer at a time anyway.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import QuotaExceeded
from core.jobs.types import JobStatus
from core.limits.base import Limits
from core.limits.stored import stored_bytes
from core.tables import JobRow, ProjectRow

WAITING = (JobStatus.VALIDATING_FILES, JobStatus.QUEUED)


def check_waiting_jobs(session: Session, project_id: str, default: Limits) -> None:
    """Raises `QuotaExceeded` where the project has as many waiting jobs as it may."""
    limit = _limit(session, project_id, default, "max_waiting_jobs")
    if limit is not None and _jobs(session, project_id, *WAITING) >= limit:
        message = f"The project {project_id} may have {limit} jobs that wait for a worker, and has as many. Cancel one, or wait."
        raise QuotaExceeded(message, code="rate_limit_exceeded")


def may_run_one_more(session: Session, project_id: str, default: Limits) -> bool:
    """Whether another job of the project may be claimed.

    A full project's row is not locked: whoever claims goes on to other projects, and two with locks could wait for each other.
    """
    limit = _limit(session, project_id, default, "max_running_jobs", lock=False)
    if limit is None:
        return True
    if _jobs(session, project_id, JobStatus.RUNNING) >= limit:
        return False
    _lock(session, project_id)
    return _jobs(session, project_id, JobStatus.RUNNING) < limit


def check_stored_bytes(session: Session, project_id: str, more: int, default: Limits) -> None:
    """Raises `QuotaExceeded` where `more` bytes are more than the project may store beside what it stores (`stored_bytes`)."""
    limit = _limit(session, project_id, default, "max_stored_bytes")
    if limit is None:
        return
    stored = stored_bytes(session, project_id)
    total = sum(stored.values())
    if total + more > limit:
        kinds = ", ".join(f"{kind} {count}" for kind, count in stored.items() if count)
        message = (
            f"The project {project_id} may store {limit} bytes and would have {total + more}; counted are {kinds or 'none yet'}. "
            "Delete some, or ask for more."
        )
        raise QuotaExceeded(message)


def _limit(session: Session, project_id: str, default: Limits, name: str, *, lock: bool = True) -> int | None:
    """The limit that holds, with the project's row locked where there is one to hold to and unless it is only looked at."""
    column = getattr(ProjectRow, name)
    own: int | None = session.scalar(select(column).where(ProjectRow.project_id == project_id))
    fallback: int | None = getattr(default, name)
    if own is None and fallback is None:
        return None
    if lock:
        _lock(session, project_id)
    return fallback if own is None else own


def _lock(session: Session, project_id: str) -> None:
    session.execute(select(ProjectRow.project_id).where(ProjectRow.project_id == project_id).with_for_update())


def _jobs(session: Session, project_id: str, *statuses: JobStatus) -> int:
    query = select(func.count()).select_from(JobRow).where(JobRow.project_id == project_id, JobRow.status.in_(statuses))
    return session.scalar(query) or 0
