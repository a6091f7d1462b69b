"""`/v1/fine_tuning/alpha/graders`."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.graders.objects import GradeObject, ValidatedGrader
from api.graders.schemas import RunGrader, ValidateGrader
from api.graders.service import run_grader, validate_grader
from api.validation import validated

router = APIRouter(prefix="/v1/fine_tuning/alpha/graders", tags=["graders"])


@router.post("/validate", response_model=ValidatedGrader, openapi_extra=json_schema_of(ValidateGrader))
def validate(caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Check a grader's configuration; answers it with every name filled in."""
    return JSONResponse({"grader": validate_grader(validated(ValidateGrader, body), context.grader_parts(caller.project_id))})


@router.post("/run", response_model=GradeObject, openapi_extra=json_schema_of(RunGrader))
async def run(caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Grade one sample. A grader that fails is a 200 whose `metadata.errors` says why."""
    asked = validated(RunGrader, body)
    return JSONResponse(
        await to_thread.run_sync(run_grader, asked, context.grader_parts(caller.project_id), limiter=context.grading)
    )
