"""The models that jobs have made, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, or_, select, union_all

from core.db import Database
from core.errors import NotFound
from core.jobs.sql_rows import checkpoint_of
from core.jobs.types import Checkpoint
from core.tables import CheckpointPermissionRow, CheckpointRow, TunedModelRow


@dataclass(frozen=True)
class TunedModel:
    """The model of a job that succeeded."""

    name: str
    created_at: float
    job_id: str


def find_checkpoint(database: Database, project_id: str, model_name: str) -> Checkpoint:
    """The project's own checkpoint behind the name of a tuned model or of a checkpoint; raises `NotFound`."""
    return _first(database, _named(model_name).where(CheckpointRow.project_id == project_id), model_name)


def find_served(database: Database, project_id: str, model_name: str) -> Checkpoint:
    """The checkpoint of this name that the project may sample from: its own, or another's that permits it.

    Raises `NotFound`. The checkpoint's `project_id` is its owner's.
    """
    permitted = select(CheckpointPermissionRow.id).where(
        CheckpointPermissionRow.checkpoint_id == CheckpointRow.id, CheckpointPermissionRow.granted_to == project_id
    )
    usable = or_(CheckpointRow.project_id == project_id, permitted.exists())
    return _first(database, _named(model_name).where(usable), model_name)


def _named(model_name: str) -> Select[CheckpointRow]:
    # A union, and not OR: each half reads the index on its own table's names.
    checkpoint = select(CheckpointRow.id).where(CheckpointRow.model_name == model_name)
    tuned = select(TunedModelRow.checkpoint_id).where(TunedModelRow.name == model_name)
    return select(CheckpointRow).where(CheckpointRow.id.in_(union_all(checkpoint, tuned)))


def _first(database: Database, query: Select[CheckpointRow], model_name: str) -> Checkpoint:
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
