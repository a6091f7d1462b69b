"""`/v1/organization/projects`: projects and what each may use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from api.admin.objects import LimitsObject, ProjectObject, RateLimitObject
from api.admin.schemas import (
    CreateProject,
    UpdateLimits,
    UpdateProject,
    UpdateRateLimit,
    limits_object,
    project_object,
    rate_limit_object,
)
from api.auth import ContextDep
from api.body import JsonBody, json_schema_of
from api.context import Context
from api.objects import ListWithEnds
from api.paging import page_of
from api.validation import validated
from core.errors import NotFound
from core.projects import ProjectStore

router = APIRouter(prefix="/projects")

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("", response_model=ProjectObject, openapi_extra=json_schema_of(CreateProject))
def create_project(context: ContextDep, body: JsonBody) -> JSONResponse:
    """A new project, without keys."""
    asked = validated(CreateProject, body)
    return JSONResponse(project_object(_projects(context).create(asked.name)))


@router.get("", response_model=ListWithEnds[ProjectObject])
def list_projects(
    context: ContextDep, after: str | None = None, limit: Limit = 20, include_archived: bool = False
) -> JSONResponse:
    """The projects, newest first."""
    found = _projects(context).list(include_archived=include_archived)
    return JSONResponse(page_of([project_object(project) for project in found], after=after, limit=limit))


@router.get("/{project_id}", response_model=ProjectObject)
def retrieve_project(project_id: str, context: ContextDep) -> JSONResponse:
    """A project."""
    return JSONResponse(project_object(_projects(context).get(project_id)))


@router.post("/{project_id}", response_model=ProjectObject, openapi_extra=json_schema_of(UpdateProject))
def update_project(project_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Rename a project."""
    name = validated(UpdateProject, body).name
    projects = _projects(context)
    project = projects.get(project_id) if name is None else projects.rename(project_id, name)
    return JSONResponse(project_object(project))


@router.post("/{project_id}/archive", response_model=ProjectObject)
def archive_project(project_id: str, context: ContextDep) -> JSONResponse:
    """Close a project: its keys open nothing any more; what it owns stays."""
    return JSONResponse(project_object(_projects(context).archive(project_id)))


@router.get("/{project_id}/rate_limits", response_model=ListWithEnds[RateLimitObject])
def list_rate_limits(
    project_id: str, context: ContextDep, after: str | None = None, before: str | None = None, limit: Limit = 100
) -> JSONResponse:
    """The project's one rate limit; `before` is accepted, and no page is before the first."""
    found = [] if before else [rate_limit_object(_projects(context).get(project_id), context.limits)]
    return JSONResponse(page_of(found, after=after, limit=limit))


@router.post(
    "/{project_id}/rate_limits/{rate_limit_id}", response_model=RateLimitObject, openapi_extra=json_schema_of(UpdateRateLimit)
)
def update_rate_limit(project_id: str, rate_limit_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Change the requests a minute."""
    asked = validated(UpdateRateLimit, body)
    projects = _projects(context)
    project = projects.get(project_id)
    if rate_limit_id != f"rl-{project_id}":
        raise NotFound(f"No such rate limit: {rate_limit_id}", param="rate_limit_id")
    if asked.max_requests_per_1_minute is not None:
        project = projects.set_limits(project_id, {"requests_per_minute": asked.max_requests_per_1_minute})
    return JSONResponse(rate_limit_object(project, context.limits))


@router.get("/{project_id}/limits", response_model=LimitsObject)
def retrieve_limits(project_id: str, context: ContextDep) -> JSONResponse:
    """All limits of a project; a route of this service's own."""
    return JSONResponse(limits_object(_projects(context).get(project_id), context.limits))


@router.post("/{project_id}/limits", response_model=LimitsObject, openapi_extra=json_schema_of(UpdateLimits))
def update_limits(project_id: str, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Change those that are named, null for the service's default."""
    asked = validated(UpdateLimits, body).model_dump(exclude_unset=True)
    return JSONResponse(limits_object(_projects(context).set_limits(project_id, asked), context.limits))


def _projects(context: Context) -> ProjectStore:
    return ProjectStore(context.database)
