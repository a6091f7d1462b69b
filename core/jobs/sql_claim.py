"""Whose turn it is: which job a supervisor that asks for one gets.

First come jobs whose worker was lost. Of the rest, the project goes first that runs the fewest jobs, of those that run as many
the one whose last job started longest ago, whatever their queues' lengths. Within a project the highest priority goes first, of
equal ones the oldest. Supervisors that claim at the very same moment see the same counts: shares even out with the next claims.

Every query reads its index from a known place on: `jobs_by_turn` once for each project that waits, and then up to the first job
that is due and that nobody else is claiming.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from core.jobs.types import JobStatus
from core.limits.base import Limits
from core.limits.project import may_run_one_more
from core.tables import JobRow

Models = Collection[str] | None
"""Ids of the base models whose jobs are wanted; None for all."""
_NOW = bindparam("now", type_=Float(53))


def next_due(session: Session, now: float, models: Models, limits: Limits) -> JobRow | None:
    """The job whose turn it is, locked to the end of the transaction; those that others are claiming are passed over.

    A project's queued jobs wait while it runs as many as it may.
    """
    values = {"now": now} if models is None else {"now": now, "models": list(models)}
    lost = session.scalar(_lost(any_model=models is None), values)
    if lost is not None:
        return lost
    for project_id in _turns(session):
        if may_run_one_more(session, project_id, limits):
            row = session.scalar(_queued(any_model=models is None), {**values, "project_id": project_id})
            if row is not None:
                return row
    return None


def is_queued_and_due(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """A queued job that its last runner has let go of."""
    free = or_(JobRow.lease_owner.is_(None), JobRow.lease_expires_at <= now)
    return and_(JobRow.status == JobStatus.QUEUED, JobRow.not_before <= now, free)


def is_lost(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """A running job whose lease has expired."""
    return and_(JobRow.status == JobStatus.RUNNING, JobRow.lease_expires_at <= now)


def _turns(session: Session) -> list[str]:
    """The projects with queued jobs, the one whose turn it is first."""
    # Sorted here: there are few of them, and the planner cannot know that.
    turns = sorted((jobs, last or 0.0, project_id) for project_id, jobs, last in session.execute(_waiting_projects()))
    return [project_id for _jobs, _last, project_id in turns]


# Statements are built once: to build one takes longer than to run it.


@cache
def _waiting_projects() -> Select[Any]:
    """The projects with queued jobs, with how many jobs each runs and when its last one started."""
    waiting = select(_first_waiting().label("project_id")).cte("waiting", recursive=True)
    following = _first_waiting(after=waiting.c.project_id).label("project_id")
    waiting = waiting.union_all(select(following).where(waiting.c.project_id.is_not(None)))
    running, started = aliased(JobRow), aliased(JobRow)
    jobs = select(func.count()).where(running.status == JobStatus.RUNNING, running.project_id == waiting.c.project_id)
    last = (
        select(started.started_at)
        .where(started.project_id == waiting.c.project_id, started.started_at.is_not(None))
        .order_by(started.started_at.desc())
        .limit(1)
    )
    query = select(waiting.c.project_id, jobs.scalar_subquery(), last.scalar_subquery())
    return query.where(waiting.c.project_id.is_not(None))


def _first_waiting(after: ColumnElement[str] | None = None) -> ColumnElement[str | None]:
    """The first project with a queued job, in the order of their ids. To ask for each after the last skips all other entries."""
    queued = aliased(JobRow)
    query = select(func.min(queued.project_id)).where(queued.status == JobStatus.QUEUED)
    return (query if after is None else query.where(queued.project_id > after)).scalar_subquery()


@cache
def _lost(*, any_model: bool) -> Select[JobRow]:
    return _first(any_model, is_lost(_NOW), JobRow.created_at, JobRow.id)


@cache
def _queued(*, any_model: bool) -> Select[JobRow]:
    wanted = and_(is_queued_and_due(_NOW), JobRow.project_id == bindparam("project_id"))
    return _first(any_model, wanted, JobRow.niceness, JobRow.created_at, JobRow.id)


def _first(any_model: bool, wanted: ColumnElement[bool], *order: InstrumentedAttribute[Any]) -> Select[JobRow]:
    query = select(JobRow).where(wanted)
    if not any_model:
        query = query.where(JobRow.base_model.in_(bindparam("models", expanding=True)))
    return query.order_by(*order).limit(1).with_for_update(skip_locked=True)
