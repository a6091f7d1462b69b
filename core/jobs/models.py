"""The models that jobs have made, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from core.db import Database
from core.errors import NotFound
from core.jobs.sql_rows import checkpoint_of
from core.jobs.types import Checkpoint
from core.tables import CheckpointRow, TunedModelRow


@dataclass(frozen=True)
class TunedModel:
    """The model of a job that succeeded."""

    name: str
    created_at: float
    job_id: str


def find_checkpoint(database: Database, project_id: str, model_name: str) -> Checkpoint:
    """The checkpoint behind the name of a tuned model or of a checkpoint; raises `NotFound`."""
    tuned = select(TunedModelRow.checkpoint_id).where(TunedModelRow.name == model_name, TunedModelRow.project_id == project_id)
    query = select(CheckpointRow).where(
        CheckpointRow.project_id == project_id,
        or_(CheckpointRow.model_name == model_name, CheckpointRow.id.in_(tuned)),
    )
    with database.read() as session:
        row = session.scalar(query)
        if row is None:
            message = f"The model `{model_name}` does not exist or you do not have access to it."
            raise NotFound(message, param="model", code="model_not_found")
        return checkpoint_of(row)


def tuned_models(database: Database, project_id: str) -> Sequence[TunedModel]:
    """The project's tuned models, newest first."""
    query = select(TunedModelRow).where(TunedModelRow.project_id == project_id)
    with database.read() as session:
        rows = session.scalars(query.order_by(TunedModelRow.created_at.desc(), TunedModelRow.name))
        return tuple(TunedModel(name=row.name, created_at=row.created_at, job_id=row.job_id) for row in rows)
