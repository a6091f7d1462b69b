"""`/v1/models`. Names may hold slashes (`%2F` in the URL)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.models import service
from api.models.objects import ModelObject
from api.models.schemas import model_object
from api.objects import Deleted, ListOf
from api.paging import list_object
from core.jobs.models import tuned_models

router = APIRouter(prefix="/v1/models", tags=["models"])

_SYSTEM = "system"


@router.get("", response_model=ListOf[ModelObject])
def list_models(caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Base models, then the project's tuned models."""
    owner = f"org-{context.settings.organization}"
    base = [model_object(model.id, model.created, _SYSTEM) for model in context.models.list()]
    tuned = tuned_models(context.database, caller.project_id)
    data = base + [model_object(model.name, int(model.created_at), owner) for model in tuned]
    return JSONResponse(list_object(data, has_more=False))


@router.get("/{model:path}", response_model=ModelObject)
def retrieve_model(model: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """A base model (also by an alias), a tuned model or a checkpoint."""
    found = service.find_model(context, caller.project_id, model)
    owner = _SYSTEM if found.checkpoint is None else f"org-{context.settings.organization}"
    return JSONResponse(model_object(found.name, found.created, owner))


@router.delete("/{model:path}", response_model=Deleted)
def delete_model(model: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Delete a tuned model's name."""
    service.delete_model(context, caller.project_id, model)
    return JSONResponse({"id": model, "object": "model", "deleted": True})
