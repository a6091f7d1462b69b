"""What the dashboard needs beyond OpenAI's routes: a stream of one job, and all jobs with their latest rewards."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.auth import CallerDep, ContextDep
from api.context import Context, get_context
from api.jobs.curve import matches
from api.jobs.objects import JobObject
from api.jobs.schemas import progress_object
from api.objects import EVENTS_TOO, ListOf
from api.paging import list_object
from api.replies import JsonReply
from core.errors import InvalidRequest
from core.jobs.sql_lookups import JobKey
from core.jobs.sql_progress import curves, list_jobs
from core.jobs.types import Job, JobStatus, Page

router = APIRouter(prefix="/v1/fine_tuning", tags=["fine-tuning"])

_MAX_SEQ = 2**53


@router.get("/jobs/{job_id}/stream", response_class=Response, responses=EVENTS_TOO)
async def stream_job(
    job_id: str,
    caller: CallerDep,
    request: Request,
    last_event_id: str | None = None,
    last_event_id_header: Annotated[str | None, Header(alias="last-event-id")] = None,
) -> StreamingResponse:
    """The job as server-sent events: `event` (as in the list of events), `job` (its object and progress) and `end`.

    Begins with the job as it stands and goes on with what happens, or with everything after the event `last-event-id` (`0` for
    the whole history). A comment comes every 15 seconds when nothing else does; after five minutes the client has to come back.
    """
    context = await get_context(request)
    after = _sequence(last_event_id_header or last_event_id)
    messages = await context.streams.open(JobKey(caller.project_id, job_id), after)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(messages, media_type="text/event-stream", headers=headers)


@router.get("/overview", response_model=ListOf[JobObject], responses={304: {"description": "Nothing has changed"}})
async def overview(
    caller: CallerDep,
    context: ContextDep,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    status: Annotated[list[JobStatus] | None, Query()] = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The project's jobs, newest first, with progress, latest rewards and a small curve. Cheap where nothing has changed."""
    page: Page[Job] = await run_in_threadpool(
        list_jobs, context.database, caller.project_id, after=after, limit=limit, statuses=status or (), search=search
    )
    tag = _tag(page)
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "authorization, cookie"}
    if matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return await run_in_threadpool(_overview, context, caller.project_id, page, headers)


def _overview(context: Context, project_id: str, page: Page[Job], headers: dict[str, str]) -> Response:
    found = curves(context.database, project_id, page.data)
    data = [progress_object(job, context.settings.organization, found.get(job.id, ())) for job in page.data]
    return JsonReply(list_object(data, has_more=page.has_more), headers=headers)


def _sequence(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > _MAX_SEQ:
        raise InvalidRequest(
            "Invalid value for 'last-event-id': not the id of an event.", param="last_event_id", code="invalid_value"
        )
    return int(text)


def _tag(page: Page[Job]) -> str:
    state = [(job.id, job.status, job.step, job.attempts, job.train_seconds, job.estimated_finish) for job in page.data]
    return f'"{hashlib.sha256(repr((state, page.has_more)).encode()).hexdigest()[:32]}"'
