"""`/v1/evals`, to be read: each job with a validation file has an eval, with a run for every validated step.

Evals that clients make themselves are not offered.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep, caller
from api.evals.objects import EvalObject, OutputItem, RunObject
from api.evals.schemas import eval_object
from api.evals.service import EvalService
from api.objects import ErrorReply, ListWithEnds
from api.paging import list_object
from core.errors import InvalidRequest
from core.jobs.evals import RunStatus

router = APIRouter(prefix="/v1/evals", tags=["evals"])

Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]
EvalId = Annotated[str, Path(alias="eval_id")]
RunId = Annotated[str, Path(alias="run_id")]
_NOT_OFFERED: dict[str, Any] = {"status_code": 400, "response_model": ErrorReply}


@router.get("", response_model=ListWithEnds[EvalObject])
def list_evals(
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "asc",
    _order_by: Annotated[Literal["created_at", "updated_at"], Query(alias="order_by")] = "created_at",
) -> JSONResponse:
    """The project's evals by the time their jobs started. They are never updated: both values of `order_by` mean the same."""
    page = EvalService(context, caller.project_id).evals.list(after=after, limit=limit, ascending=order == "asc")
    return JSONResponse(list_object([eval_object(job) for job in page.data], has_more=page.has_more, with_ends=True))


@router.get("/{eval_id}", response_model=EvalObject)
def retrieve_eval(eval_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """An eval."""
    return JSONResponse(eval_object(EvalService(context, caller.project_id).evals.get(eval_id)))


@router.get("/{eval_id}/runs", response_model=ListWithEnds[RunObject])
def list_runs(
    eval_id: str,
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "asc",
    status: Literal["queued", "in_progress", "completed", "canceled", "failed"] | None = None,
) -> JSONResponse:
    """An eval's runs by step. None is ever `queued`: a run exists from its first sampled batch on."""
    service = EvalService(context, caller.project_id)
    if status == "queued":
        service.evals.get(eval_id)
        return JSONResponse(list_object([], has_more=False, with_ends=True))
    wanted = None if status is None else RunStatus(status)
    page = service.runs(eval_id, after=after, limit=limit, ascending=order == "asc", status=wanted)
    return JSONResponse(list_object(page.data, has_more=page.has_more, with_ends=True))


@router.get("/{eval_id}/runs/{run_id}", response_model=RunObject)
def retrieve_run(eval_id: str, run_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """A run: how many samples passed, and what it cost in tokens."""
    return JSONResponse(EvalService(context, caller.project_id).run(eval_id, run_id))


@router.get("/{eval_id}/runs/{run_id}/output_items", response_model=ListWithEnds[OutputItem])
def list_output_items(
    eval_id: str,
    run_id: str,
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "asc",
    status: Literal["fail", "pass"] | None = None,
) -> JSONResponse:
    """A run's graded samples, each with the row of the validation file that it answers."""
    page = EvalService(context, caller.project_id).items(
        eval_id, run_id, after=after, limit=limit, ascending=order == "asc", status=status
    )
    return JSONResponse(list_object(page.data, has_more=page.has_more, with_ends=True))


@router.get("/{eval_id}/runs/{run_id}/output_items/{item_id}", response_model=OutputItem)
def retrieve_output_item(eval_id: str, run_id: str, item_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """One graded sample."""
    return JSONResponse(EvalService(context, caller.project_id).item(eval_id, run_id, item_id))


@router.post("", dependencies=[Depends(caller)], **_NOT_OFFERED)
def create_eval() -> JSONResponse:
    """Not offered."""
    raise _unsupported()


@router.post("/{eval_id}", dependencies=[Depends(caller)], **_NOT_OFFERED)
@router.delete("/{eval_id}", dependencies=[Depends(caller)], **_NOT_OFFERED)
@router.post("/{eval_id}/runs", dependencies=[Depends(caller)], **_NOT_OFFERED)
def change_eval(_eval_id: EvalId) -> JSONResponse:
    """Not offered."""
    raise _unsupported()


@router.post("/{eval_id}/runs/{run_id}", dependencies=[Depends(caller)], **_NOT_OFFERED)
@router.delete("/{eval_id}/runs/{run_id}", dependencies=[Depends(caller)], **_NOT_OFFERED)
def change_run(_eval_id: EvalId, _run_id: RunId) -> JSONResponse:
    """Not offered."""
    raise _unsupported()


def _unsupported() -> InvalidRequest:
    message = "Evals can only be read here: fine-tuning jobs with a validation file make them, and add a run at each validation."
    return InvalidRequest(message, code="unsupported")
