"""Whose turn it is: which job a supervisor that asks for one gets.

First come jobs whose worker was lost. Of the rest, the project goes first that runs the fewest jobs, of those that run as many
the one whose last job started longest ago, whatever their queues' lengths. Within a project the highest priority goes first, of
equal ones the oldest. Supervisors that claim at the very same moment see the same counts: shares even out with the next claims.

Every query reads its index from a known place on: `jobs_by_turn` once for each project that waits, and then up to the first job
that is due and that nobody else is claiming.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from core.jobs.types import JobStatus
from core.limits.base import Limits
from core.limits.project import may_run_one_more
from core.tables import JobRow

Models = Collection[str] | None
"""Ids of the base models whose jobs are wanted; None for all."""


def next_due(session: Session, now: float, models: Models, limits: Limits) -> JobRow | None:
    """The job whose turn it is, locked to the end of the transaction; those that others are claiming are passed over.

    A project's queued jobs wait while it runs as many as it may.
    """
    lost = session.scalar(_locked(_lost(now, models)))
    if lost is not None:
        return lost
    for project_id in _turns(session):
        if may_run_one_more(session, project_id, limits):
            row = session.scalar(_locked(_queued(project_id, now, models)))
            if row is not None:
                return row
    return None


def is_queued_and_due(now: float) -> ColumnElement[bool]:
    """A queued job that its last runner has let go of."""
    free = or_(JobRow.lease_owner.is_(None), JobRow.lease_expires_at <= now)
    return and_(JobRow.status == JobStatus.QUEUED, JobRow.not_before <= now, free)


def is_lost(now: float) -> ColumnElement[bool]:
    """A running job whose lease has expired."""
    return and_(JobRow.status == JobStatus.RUNNING, JobRow.lease_expires_at <= now)


def _turns(session: Session) -> list[str]:
    """The projects with queued jobs, the one whose turn it is first."""
    waiting = select(_first_waiting().label("project_id")).cte("waiting", recursive=True)
    following = _first_waiting(after=waiting.c.project_id).label("project_id")
    waiting = waiting.union_all(select(following).where(waiting.c.project_id.is_not(None)))
    running, started = aliased(JobRow), aliased(JobRow)
    query = select(
        waiting.c.project_id,
        select(func.count())
        .where(running.status == JobStatus.RUNNING, running.project_id == waiting.c.project_id)
        .scalar_subquery(),
        select(started.started_at)
        .where(started.project_id == waiting.c.project_id, started.started_at.is_not(None))
        .order_by(started.started_at.desc())
        .limit(1)
        .scalar_subquery(),
    ).where(waiting.c.project_id.is_not(None))
    # Sorted here: there are few of them, and the planner cannot know that.
    turns = sorted((jobs, last or 0.0, project_id) for project_id, jobs, last in session.execute(query))
    return [project_id for _jobs, _last, project_id in turns]


def _first_waiting(after: ColumnElement[str] | None = None) -> ColumnElement[str | None]:
    """The first project with a queued job, in the order of their ids. To ask for each after the last skips all other entries."""
    queued = aliased(JobRow)
    query = select(func.min(queued.project_id)).where(queued.status == JobStatus.QUEUED)
    return (query if after is None else query.where(queued.project_id > after)).scalar_subquery()


def _lost(now: float, models: Models) -> Select[JobRow]:
    return _of(models, select(JobRow).where(is_lost(now)).order_by(JobRow.created_at, JobRow.id))


def _queued(project_id: str, now: float, models: Models) -> Select[JobRow]:
    queued = select(JobRow).where(is_queued_and_due(now), JobRow.project_id == project_id)
    return _of(models, queued.order_by(JobRow.niceness, JobRow.created_at, JobRow.id))


def _of(models: Models, query: Select[JobRow]) -> Select[JobRow]:
    return query if models is None else query.where(JobRow.base_model.in_(models))


def _locked(query: Select[JobRow]) -> Select[JobRow]:
    return query.limit(1).with_for_update(skip_locked=True)
