"""What projects use, counted by the hour: added to in the transaction of what is counted, so that nothing counts twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, func, null, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.db import Database
from core.tables import UsageRow

HOUR = 3600
_MODEL_LENGTH = 255


class UsageKind(StrEnum):
    """What is counted. Judges' tokens are counted under the judge's name, everything else under the base model's."""

    DEVICE_SECONDS = "device_seconds"
    """Time that a runner held its device for committed steps, their checkpoints included."""
    PROMPT_TOKENS = "prompt_tokens"
    """Of rollouts and validations; a prompt counts once for all its samples, as it is computed."""
    SAMPLED_TOKENS = "sampled_tokens"
    """Completion tokens of rollouts and validations."""
    TRAINED_TOKENS = "trained_tokens"
    """Completion tokens that took part in updates."""
    STEPS = "steps"
    JUDGE_PROMPT_TOKENS = "judge_prompt_tokens"
    JUDGE_COMPLETION_TOKENS = "judge_completion_tokens"
    JUDGE_CACHED_TOKENS = "judge_cached_tokens"


Amounts = Mapping[tuple[str, UsageKind], float]
"""Amounts by model and kind."""


@dataclass(frozen=True)
class Used:
    """What was used within one span of time that begins at `start` (unix seconds).

    By one project and of one model, where the question keeps them apart; None where all are added up.
    """

    start: int
    project_id: str | None
    model: str | None
    kind: UsageKind
    amount: float


def count(session: Session, project_id: str, now: float, amounts: Amounts) -> None:
    """Add to what a project has used in the hour of `now` (unix seconds), within the caller's transaction."""
    # Two transactions that add to the same rows take them in the same order: neither waits for the other in a circle.
    rows = [
        {
            "project_id": project_id,
            "hour": int(now) // HOUR * HOUR,
            "model": model[:_MODEL_LENGTH],
            "kind": kind,
            "amount": amount,
        }
        for (model, kind), amount in sorted(amounts.items())
        if amount
    ]
    if not rows:
        return
    insert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(UsageRow).values(rows)
    key = ["project_id", "hour", "model", "kind"]
    session.execute(insert.on_conflict_do_update(index_elements=key, set_={"amount": UsageRow.amount + insert.excluded.amount}))


class UsageStore:
    """Reads what projects have used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sums(
        self,
        *,
        start: int,
        end: int,
        width: int,
        project_ids: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        by_project: bool = True,
        by_model: bool = True,
    ) -> Sequence[Used]:
        """Sums over spans of `width` seconds (a multiple of an hour) from `start` up to `end`, in order of time.

        Of all projects and models where none are named. Hours that begin within [start, end) count whole.
        """
        span: ColumnElement[int] = start + (UsageRow.hour - start) // width * width
        apart = [*([UsageRow.project_id] if by_project else []), *([UsageRow.model] if by_model else [])]
        columns = (
            span.label("start"),
            (UsageRow.project_id if by_project else null()).label("project"),
            (UsageRow.model if by_model else null()).label("named"),
            UsageRow.kind,
        )
        wanted = [UsageRow.hour >= start, UsageRow.hour < end]
        if project_ids is not None:
            wanted.append(UsageRow.project_id.in_(project_ids))
        if models is not None:
            wanted.append(UsageRow.model.in_(models))
        query = select(*columns, func.sum(UsageRow.amount)).where(*wanted)
        query = query.group_by("start", *apart, UsageRow.kind).order_by("start", *apart, UsageRow.kind)
        with self._database.read() as session:
            rows = session.execute(query).all()
        return [Used(int(begin), project, model, UsageKind(kind), float(amount)) for begin, project, model, kind, amount in rows]
