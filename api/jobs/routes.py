"""`/v1/fine_tuning/jobs`: OpenAI's routes, then this service's own."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.attempts import AttemptsDep
from api.auth import Caller, CallerDep, ContextDep
from api.body import JsonBody, OptionalJsonBody, json_schema_of
from api.chat.waiting import while_connected
from api.context import Context, get_context
from api.jobs import service
from api.jobs.curve import curve_tag, matches
from api.jobs.filter import metadata_filter
from api.jobs.objects import CheckpointObject, Curve, EventObject, JobObject, RegradeObject
from api.jobs.regrade import RegradeJob, begin_regrade
from api.jobs.resume import ResumeJob
from api.jobs.resume import resume_job as resume
from api.jobs.schemas import CreateJob, checkpoint_object, event_object, job_object
from api.jobs.weights import adapter_tar, find_checkpoint, merged_tar
from api.objects import EVENTS_TOO, ListOf, ListWithEnds, Responses, download
from api.paging import list_object
from api.replies import JsonReply
from api.validation import validated
from core.jobs.curve import curve_csv
from core.jobs.sql_lookups import EventQuery, JobKey
from core.jobs.sql_progress import thinned_steps
from core.jobs.sql_rows import no_such_job
from core.jobs.types import JobCommand

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

MAX_STEP = 2**31 - 1

_CURVE: Responses = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    304: {"description": "Nothing has changed"},
}

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("", response_model=JobObject, openapi_extra=json_schema_of(CreateJob))
def create_job(
    caller: CallerDep,
    context: ContextDep,
    body: JsonBody,
    attempts: AttemptsDep,
) -> JSONResponse:
    """Create a job. Its files are checked afterwards: wrong content fails the job. The same call twice makes one job."""
    job = service.create_job(context, caller.project_id, body, attempts.at("fine_tuning.jobs", body))
    return JSONResponse(job_object(job, context.settings.organization))


@router.get("", response_model=ListOf[JobObject])
def list_jobs(
    request: Request, caller: CallerDep, context: ContextDep, after: str | None = None, limit: Limit = 20
) -> JSONResponse:
    """The project's jobs, newest first; `metadata[key]=value` keeps those that carry the pair, `metadata=null` those without."""
    wanted = metadata_filter(request.query_params.multi_items())
    page = context.jobs(caller.project_id).list(
        after=after, limit=limit, metadata=wanted, without_metadata="metadata" in request.query_params
    )
    data = [job_object(job, context.settings.organization) for job in page.data]
    return JSONResponse(list_object(data, has_more=page.has_more))


@router.get("/{job_id}", response_model=JobObject)
async def retrieve_job(job_id: str, caller: CallerDep, request: Request) -> JsonReply:
    """A job as it stands."""
    context = await get_context(request)
    job = await context.lookups.jobs.get(JobKey(caller.project_id, job_id))
    if job is None:
        raise no_such_job(job_id)
    return JsonReply(job_object(job, context.settings.organization))


@router.post("/{job_id}/cancel", response_model=JobObject)
def cancel_job(job_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """End a job; 400 where it has ended already."""
    return _commanded(context, caller, job_id, JobCommand.CANCEL)


@router.post("/{job_id}/pause", response_model=JobObject)
def pause_job(job_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Stop a job until it is resumed; 400 where it neither runs nor waits for a worker."""
    return _commanded(context, caller, job_id, JobCommand.PAUSE)


@router.post("/{job_id}/resume", response_model=JobObject, openapi_extra=json_schema_of(ResumeJob, required=False))
def resume_job(job_id: str, caller: CallerDep, context: ContextDep, body: OptionalJsonBody) -> JSONResponse:
    """Queue a paused job again, perhaps with another grader; 400 for any other job."""
    job = resume(context, caller.project_id, job_id, body)
    return JSONResponse(job_object(job, context.settings.organization))


@router.get("/{job_id}/events", response_model=ListOf[EventObject])
async def list_events(job_id: str, caller: CallerDep, request: Request, after: str | None = None, limit: Limit = 20) -> JsonReply:
    """The job's history, newest first."""
    context = await get_context(request)
    page = await context.lookups.events.get(EventQuery(caller.project_id, job_id, after, limit))
    assert page is not None
    return JsonReply(list_object([event_object(event) for event in page.data], has_more=page.has_more))


@router.get("/{job_id}/checkpoints", response_model=ListWithEnds[CheckpointObject])
def list_checkpoints(
    job_id: str, caller: CallerDep, context: ContextDep, after: str | None = None, limit: Limit = 10
) -> JSONResponse:
    """The job's checkpoints, latest step first."""
    page = context.jobs(caller.project_id).checkpoints(job_id, after=after, limit=limit)
    data = [checkpoint_object(checkpoint) for checkpoint in page.data]
    return JSONResponse(list_object(data, has_more=page.has_more, with_ends=True))


@router.get("/{job_id}/metrics", response_model=Curve, responses=_CURVE)
def reward_curve(
    job_id: str,
    caller: CallerDep,
    context: ContextDep,
    after_step: Annotated[int, Query(ge=-1, le=MAX_STEP)] = -1,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
    max_points: Annotated[int | None, Query(ge=10, le=10_000)] = None,
    accept: Annotated[str, Header()] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The metrics of all steps above `after_step`, as JSON or CSV. Costs one row where nothing has changed (`if-none-match`).

    With `max_points` only so many steps come, chosen so that the rewards' curves look the same.
    """
    jobs = context.jobs(caller.project_id)
    job = jobs.get(job_id)
    chosen = form or ("csv" if "text/csv" in accept else "json")
    tag = curve_tag(job, after_step=after_step, form=chosen if max_points is None else f"{chosen}.{max_points}")
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept, authorization, cookie"}
    if matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    if max_points is None:
        steps = jobs.steps(job_id, after_step=after_step)
    else:
        steps = thinned_steps(context.database, caller.project_id, job_id, after_step=after_step, most=max_points)
    if chosen == "csv":
        return Response(curve_csv(steps), media_type="text/csv", headers=headers)
    body = {"object": "list", "data": list(steps), "status": job.status.value, "step": job.step}
    return JSONResponse(body, headers=headers)


@router.post("/{job_id}/regrade", response_model=RegradeObject, responses=EVENTS_TOO, openapi_extra=json_schema_of(RegradeJob))
async def regrade_job(request: Request, job_id: str, caller: CallerDep, context: ContextDep, body: JsonBody) -> Response:
    """Score kept rollouts with another grader and compare; whole, or with its progress as server-sent events. Changes nothing."""
    asked = validated(RegradeJob, body)
    work = partial(begin_regrade, context, caller.project_id, job_id, asked)
    regrading = await to_thread.run_sync(work, limiter=context.grading)
    if asked.stream:
        events = regrading.events(context.grading)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
    return JSONResponse(await while_connected(request, regrading.report(context.grading)))


@router.get("/{job_id}/checkpoints/{checkpoint}/weights", response_class=Response, responses=download("application/x-tar", 200))
async def download_weights(
    job_id: str,
    checkpoint: str,
    caller: CallerDep,
    context: ContextDep,
    form: Annotated[Literal["adapter", "merged"], Query(alias="format")] = "adapter",
) -> Response:
    """A checkpoint (by id, or `best` or `last`) as a tar: the PEFT adapter, or the whole merged model."""
    jobs = context.jobs(caller.project_id)
    job, found = await run_in_threadpool(find_checkpoint, jobs, job_id, checkpoint)
    if form == "merged":
        return await merged_tar(context, job, found)
    return await run_in_threadpool(adapter_tar, context.objects, found)


def _commanded(context: Context, caller: Caller, job_id: str, command: JobCommand) -> JSONResponse:
    job = context.jobs(caller.project_id).command(job_id, command)
    return JSONResponse(job_object(job, context.settings.organization))
