"""Resuming a job, with a corrected grader where its own was at fault: our extension, `{"touchstone": {"grader": {...}}}`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

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


class ResumeJob(BaseModel):
    """The body of a resume call; OpenAI's client sends none."""

    model_config = ConfigDict(extra="allow")

    touchstone: ResumeOptions | None = None


def resume_job(context: Context, project_id: str, job_id: str, body: Json) -> Job:
    """Queue a paused job again. Raises `InvalidRequest` for a wrong grader, `WrongState` for a job that is not paused."""
    options = validated(ResumeJob, body).touchstone
    grader = None
    if options is not None and options.grader is not None:
        grader = checked_grader(context.grader_parts(project_id), options.grader, _GRADER)
    return context.jobs(project_id).command(job_id, JobCommand.RESUME, grader=grader)
