"""What a job would be: its `auto` values as numbers, before it is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, json_schema_of
from api.context import Context
from api.objects import Reply
from api.validation import validated
from core.datasets.check import MAX_TRAINING_ROWS, MAX_VALIDATION_ROWS, check_rows
from core.errors import NotFound
from core.jobs.plan import Hyperparameters, Options, resolve

Json = dict[str, Any]

router = APIRouter(prefix="/v1/fine_tuning", tags=["fine-tuning"])


class PlanJob(BaseModel):
    """The parts of a create body that its numbers depend on."""

    model_config = ConfigDict(extra="forbid")

    training_file: str
    validation_file: str | None = None
    hyperparameters: Json | None = None
    touchstone: Json | None = None


class PlanProblems(Reply):
    """The first bad lines of each file."""

    training_file: list[str]
    validation_file: list[str]


class PlanObject(Reply):
    """A plan, as `plan_job` builds it."""

    object: Literal["fine_tuning.plan"]
    hyperparameters: Json
    touchstone: Json
    total_steps: int
    training_rows: int
    validation_rows: int
    problems: PlanProblems


@dataclass(frozen=True)
class _Rows:
    count: int
    problems: tuple[str, ...]


@router.post("/plan", response_model=PlanObject, openapi_extra=json_schema_of(PlanJob))
def plan_job(caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Resolve a job's hyperparameters without creating it, and check its files: `problems` names the first bad lines of each."""
    asked = validated(PlanJob, body)
    hyperparameters = validated(Hyperparameters, asked.hyperparameters or {}, at=("hyperparameters",))
    options = validated(Options, asked.touchstone or {}, at=("touchstone",))
    train = _rows(context, caller.project_id, asked.training_file, "training_file", MAX_TRAINING_ROWS)
    valid = _Rows(0, ())
    if asked.validation_file is not None:
        valid = _rows(context, caller.project_id, asked.validation_file, "validation_file", MAX_VALIDATION_ROWS)
    plan = resolve(hyperparameters, options, train_rows=max(train.count, 1), valid_rows=valid.count)
    return JSONResponse(
        {
            "object": "fine_tuning.plan",
            "hyperparameters": plan.hyperparameters(),
            "touchstone": plan.options(),
            "total_steps": plan.total_steps,
            "training_rows": train.count,
            "validation_rows": valid.count,
            "problems": {"training_file": list(train.problems), "validation_file": list(valid.problems)},
        }
    )


def _rows(context: Context, project_id: str, file_id: str, param: str, most: int) -> _Rows:
    try:
        with context.files(project_id).open(file_id) as stream:
            report = check_rows(stream, most)
    except NotFound as error:
        raise NotFound(error.message, param=param) from None
    return _Rows(report.rows, tuple(str(problem) for problem in report.problems))
