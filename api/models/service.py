"""The models that a project can call: base models by id or alias, tuned models, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete

from api.context import Context
from core.errors import InvalidRequest, NotFound
from core.jobs.models import find_served
from core.jobs.types import Checkpoint
from core.tables import TunedModelRow


@dataclass(frozen=True)
class ServedModel:
    """A model under the name by which the client asked for it. `created` is in unix seconds."""

    name: str
    created: int
    base_model: str
    checkpoint: Checkpoint | None
    """The weights on top of the base model, where there are any."""


def find_model(context: Context, project_id: str, name: str) -> ServedModel:
    """The model of this name that the project may sample from; raises `NotFound`."""
    try:
        base = context.models.resolve(name)
        return ServedModel(name, base.created, base.id, None)
    except NotFound:
        checkpoint = find_served(context.database, project_id, name)
        job = context.jobs(checkpoint.project_id).get(checkpoint.job_id)
        return ServedModel(name, int(checkpoint.created_at), job.base_model, checkpoint)


def delete_model(context: Context, project_id: str, name: str) -> None:
    """Take a tuned model's name away; its job and checkpoints stay.

    Raises `NotFound`; `InvalidRequest` for base models, checkpoints and what another project shares.
    """
    model = find_model(context, project_id, name)
    condition = (TunedModelRow.project_id == project_id, TunedModelRow.name == name)
    with context.database.begin() as session:
        deleted = session.scalars(delete(TunedModelRow).where(*condition).returning(TunedModelRow.name)).all()
    if not deleted:
        message = f"The model `{name}` is {_kind(model, project_id)}; only tuned models of your own can be deleted."
        raise InvalidRequest(message, param="model", code="invalid_value")


def _kind(model: ServedModel, project_id: str) -> str:
    if model.checkpoint is None:
        return "a base model"
    return "a checkpoint of a job" if model.checkpoint.project_id == project_id else "shared by another project"
