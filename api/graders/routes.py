"""`/v1/fine_tuning/alpha/graders`."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.graders.schemas import RunGrader, ValidateGrader
from api.graders.service import run_grader
from api.validation import validated
from graders.spec import normalised, parse

router = APIRouter(prefix="/v1/fine_tuning/alpha/graders", tags=["graders"])


@router.post("/validate", openapi_extra=json_schema_of(ValidateGrader))
def validate_grader(_caller: CallerDep, body: JsonBody) -> JSONResponse:
    """Check a grader's configuration; answers it with every name filled in."""
    return JSONResponse({"grader": normalised(parse(validated(ValidateGrader, body).grader))})


@router.post("/run", openapi_extra=json_schema_of(RunGrader))
def run(_caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Grade one sample. A grader that fails is a 200 whose `metadata.errors` says why."""
    return JSONResponse(run_grader(validated(RunGrader, body), context.sandbox))
