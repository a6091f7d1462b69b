"""Where a job's training starts: from a base model, or from a tuned model or checkpoint of the project's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.context import Context
from api.models.service import find_model
from core.errors import Forbidden, InvalidRequest
from core.jobs.plan import Options, Plan
from core.models import BaseModel

Json = dict[str, Any]


@dataclass(frozen=True)
class Start:
    """The base model, and what of an earlier job lies on top of it."""

    model: BaseModel
    checkpoint_id: str | None = None
    adapter: Json | None = None
    """The option `touchstone.adapter` that the checkpoint was trained with: an adapter keeps its shape."""

    def options(self, asked: Json) -> Json:
        """Our own options as asked for, with the start's adapter; raises `InvalidRequest` where another one is asked for."""
        if self.adapter is None:
            return asked
        wanted = Options.model_validate({"adapter": asked["adapter"]}).model_dump()["adapter"] if "adapter" in asked else None
        if wanted not in (None, self.adapter):
            message = f"Training goes on as the model was trained, with the adapter {self.adapter}: leave 'adapter' out."
            raise InvalidRequest(message, param="touchstone.adapter", code="invalid_value")
        return {**asked, "adapter": self.adapter}


def find_start(context: Context, project_id: str, name: str) -> Start:
    """The start of this name. Raises `NotFound`; `Forbidden` for a checkpoint that another project only lets sample from."""
    found = find_model(context, project_id, name)
    model = context.models.resolve(found.base_model)
    if found.checkpoint is None:
        return Start(model)
    if found.checkpoint.project_id != project_id:
        message = f"The model `{name}` is shared with your project for inference; only its owner can train from it."
        raise Forbidden(message, param="model", code="model_shared_for_inference")
    source = context.jobs(project_id).get(found.checkpoint.job_id)
    return Start(model, found.checkpoint.id, Plan.from_json(source.plan or {}).options()["adapter"])
