"""`/v1/fine_tuning/jobs/{id}/rollouts`: this service's own routes to what the model wrote and how it was graded."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.jobs.objects import RolloutGroupObject, RolloutObject, SampledStepObject
from api.jobs.rollout_groups import read_groups
from api.jobs.rollouts import Order, RolloutId, RolloutQuery, read_page
from api.objects import ListOf, ListWithEnds
from api.paging import list_object, page_of
from api.replies import JsonReply
from core.errors import InvalidRequest
from core.jobs.kept import kept_batches
from core.jobs.sampled import sampled_steps

router = APIRouter(prefix="/v1/fine_tuning/jobs/{job_id}/rollouts", tags=["fine-tuning"])

MAX_STEP = 2**31 - 1

Limit = Annotated[int, Query(ge=1, le=100)]
Step = Annotated[int, Query(ge=0, le=MAX_STEP)]
Split = Literal["train", "valid"]


@router.get("", response_model=ListWithEnds[RolloutObject])
def list_rollouts(
    job_id: str,
    caller: CallerDep,
    context: ContextDep,
    step: Annotated[int | None, Query(ge=0, le=MAX_STEP)] = None,
    split: Split | None = None,
    example: Annotated[int | None, Query(ge=0, le=MAX_STEP)] = None,
    error: Annotated[str | None, Query(max_length=64)] = None,
    contains: Annotated[str | None, Query(min_length=1, max_length=500)] = None,
    order_by: Order = "sampled",
    after: str | None = None,
    limit: Limit = 20,
    include: Annotated[list[Literal["tokens"]] | None, Query()] = None,
) -> JsonReply:
    """The kept rollouts of a step with their grades, or those of one prompt over all steps (`example` without `step`).

    `error` is `any`, `none` or a kind of failure; `include=tokens` adds the tokens: ids, texts and log-probabilities.
    """
    if step is None:
        if example is None or order_by != "sampled":
            message = "Missing required parameter: 'step'. Only one example's rollouts are listed over all steps, as sampled."
            raise InvalidRequest(message, param="step", code="missing_required_parameter")
        batches = kept_batches(context.database, caller.project_id, job_id, split=split or "train", steps="all")
    else:
        batches = context.jobs(caller.project_id).batches(job_id, step=step, split=split)
    cursor = None if after is None else RolloutId.parse(after)
    query = RolloutQuery(example, error, contains, order_by)
    page = read_page(context.objects, batches, query, after=cursor, limit=limit, with_tokens=bool(include))
    return JsonReply(list_object(page.data, has_more=page.has_more, with_ends=True))


@router.get("/steps", response_model=ListOf[SampledStepObject])
def list_sampled_steps(job_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """The steps of which rollouts are kept, for each split, with their numbers of rollouts."""
    steps = sampled_steps(context.database, caller.project_id, job_id)
    data = [{"object": "fine_tuning.job.sampled_step", "split": s.split, "step": s.step, "samples": s.samples} for s in steps]
    return JSONResponse(list_object(data, has_more=False))


@router.get("/groups", response_model=ListWithEnds[RolloutGroupObject])
def list_groups(
    job_id: str,
    step: Step,
    caller: CallerDep,
    context: ContextDep,
    split: Split = "train",
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JSONResponse:
    """The prompts of a step with what their groups came to: rewards, failures, lengths. Long prompts are cut in their middle."""
    batches = context.jobs(caller.project_id).batches(job_id, step=step, split=split)
    return JSONResponse(page_of(list(read_groups(context.objects, batches)), after=after, limit=limit))
