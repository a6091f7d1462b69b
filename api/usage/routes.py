"""What jobs have used: `/v1/fine_tuning/usage` of the caller's project, `/v1/organization/usage/fine_tuning` of all projects.

Routes of this service's own, with the parameters and the pages of OpenAI's `/v1/organization/usage/...`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep, administrator
from api.usage.objects import UsagePage
from api.usage.schemas import GroupBy, Width
from api.usage.service import Asked, usage_page

router = APIRouter(tags=["usage"])

MAX_TIME = 2**40
MAX_NAMES = 100

Time = Annotated[int, Query(ge=0, le=MAX_TIME)]
Names = Annotated[list[str], Query(max_length=MAX_NAMES)]
BracketedNames = Annotated[list[str], Query(alias="models[]", max_length=MAX_NAMES)]
BracketedProjects = Annotated[list[str], Query(alias="project_ids[]", max_length=MAX_NAMES)]
Groups = Annotated[list[GroupBy], Query(max_length=2)]
BracketedGroups = Annotated[list[GroupBy], Query(alias="group_by[]", max_length=2)]


@router.get("/v1/fine_tuning/usage", response_model=UsagePage)
def project_usage(
    caller: CallerDep,
    context: ContextDep,
    start_time: Time,
    end_time: Time | None = None,
    bucket_width: Width = "1d",
    limit: int | None = None,
    page: str | None = None,
    models: Names = [],  # noqa: B006
    models_too: BracketedNames = [],  # noqa: B006
    group_by: Groups = [],  # noqa: B006
    group_by_too: BracketedGroups = [],  # noqa: B006
) -> JSONResponse:
    """What the project's jobs have used, in buckets of an hour or a day (UTC)."""
    asked = Asked(
        start_time=start_time,
        end_time=end_time,
        bucket_width=bucket_width,
        limit=limit,
        page=page,
        by_project=True,
        by_model="model" in (*group_by, *group_by_too),
        project_ids=[caller.project_id],
        models=[*models, *models_too] or None,
    )
    return JSONResponse(usage_page(context, asked))


@router.get("/v1/organization/usage/fine_tuning", response_model=UsagePage, dependencies=[Depends(administrator)])
def organization_usage(
    context: ContextDep,
    start_time: Time,
    end_time: Time | None = None,
    bucket_width: Width = "1d",
    limit: int | None = None,
    page: str | None = None,
    project_ids: Names = [],  # noqa: B006
    project_ids_too: BracketedProjects = [],  # noqa: B006
    models: Names = [],  # noqa: B006
    models_too: BracketedNames = [],  # noqa: B006
    group_by: Groups = [],  # noqa: B006
    group_by_too: BracketedGroups = [],  # noqa: B006
) -> JSONResponse:
    """What the jobs of all projects have used, in buckets of an hour or a day (UTC)."""
    groups = (*group_by, *group_by_too)
    asked = Asked(
        start_time=start_time,
        end_time=end_time,
        bucket_width=bucket_width,
        limit=limit,
        page=page,
        by_project="project_id" in groups,
        by_model="model" in groups,
        project_ids=[*project_ids, *project_ids_too] or None,
        models=[*models, *models_too] or None,
    )
    return JSONResponse(usage_page(context, asked))
