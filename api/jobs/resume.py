"""Resuming a job, with a corrected grader or a higher budget: our extension, `{"touchstone": {"grader", "budget_seconds"}}`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.context import Context
from api.validation import validated
from core.jobs.types import Job, JobCommand
from graders.parts import checked_grader

Json = dict[str, Any]

_GRADER = "touchstone.grader"


class ResumeOptions(BaseModel):
    """What a resumed job does otherwise than before."""

    model_config = ConfigDict(extra="forbid")

    grader: Json | None = None
    """Takes the place of the job's grader, for all that is graded from now on."""
    budget_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Training seconds, those before included, at which the job pauses again. Without it the job runs to its end."""


class ResumeJob(BaseModel):
    """The body of a resume call; OpenAI's client sends none."""

    model_config = ConfigDict(extra="allow")

    touchstone: ResumeOptions | None = None


def resume_job(context: Context, project_id: str, job_id: str, body: Json) -> Job:
    """Queue a paused job again.

    Raises `InvalidRequest` for a wrong grader and a budget that is used up already, `WrongState` for a job that is not paused.
    """
    options = validated(ResumeJob, body).touchstone or ResumeOptions()
    grader = None
    if options.grader is not None:
        grader = checked_grader(context.grader_parts(project_id), options.grader, _GRADER)
    jobs = context.jobs(project_id)
    return jobs.command(job_id, JobCommand.RESUME, grader=grader, budget_seconds=options.budget_seconds)
