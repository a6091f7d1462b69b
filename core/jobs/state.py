"""A job's life as one pure table, and the words in which its history tells it.

The messages are OpenAI's where its service has one: scripts look for them, `New fine-tuned model created: ` above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.errors import WrongState
from core.jobs.types import JobCommand, JobStatus

MAX_ATTEMPTS = 5
"""Claims without a committed step in between, after which a job is failed."""

TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
"""Where no command leads out of."""

LEASED = frozenset({JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.QUEUED})
"""Where a runner may still hold the lease: until it lets go, a paused job and one queued again have their old runner."""

TRANSITIONS: Mapping[tuple[JobStatus, JobCommand], JobStatus] = MappingProxyType(
    {
        (JobStatus.VALIDATING_FILES, JobCommand.VALIDATED): JobStatus.QUEUED,
        (JobStatus.VALIDATING_FILES, JobCommand.CANCEL): JobStatus.CANCELLED,
        (JobStatus.VALIDATING_FILES, JobCommand.FAIL): JobStatus.FAILED,
        (JobStatus.QUEUED, JobCommand.CLAIM): JobStatus.RUNNING,
        (JobStatus.QUEUED, JobCommand.PAUSE): JobStatus.PAUSED,
        (JobStatus.QUEUED, JobCommand.CANCEL): JobStatus.CANCELLED,
        (JobStatus.QUEUED, JobCommand.FAIL): JobStatus.FAILED,
        (JobStatus.RUNNING, JobCommand.CLAIM): JobStatus.RUNNING,
        (JobStatus.RUNNING, JobCommand.PAUSE): JobStatus.PAUSED,
        (JobStatus.RUNNING, JobCommand.CANCEL): JobStatus.CANCELLED,
        (JobStatus.RUNNING, JobCommand.FINISH): JobStatus.SUCCEEDED,
        (JobStatus.RUNNING, JobCommand.FAIL): JobStatus.FAILED,
        (JobStatus.PAUSED, JobCommand.RESUME): JobStatus.QUEUED,
        (JobStatus.PAUSED, JobCommand.CANCEL): JobStatus.CANCELLED,
    }
)
"""Every legal move; what is not listed is refused."""

_IN_WORDS = {
    JobCommand.VALIDATED: "queued",
    JobCommand.CLAIM: "started",
    JobCommand.PAUSE: "paused",
    JobCommand.RESUME: "resumed",
    JobCommand.CANCEL: "cancelled",
    JobCommand.FINISH: "finished",
    JobCommand.FAIL: "failed",
}


def next_status(status: JobStatus, command: JobCommand) -> JobStatus:
    """Where `command` leads from `status`; raises `WrongState` where it leads nowhere."""
    try:
        return TRANSITIONS[status, command]
    except KeyError:
        allowed = ", ".join(f"'{source}'" for source, known in TRANSITIONS if known is command)
        message = f"A job in status '{status}' cannot be {_IN_WORDS[command]}; it can be where its status is one of: {allowed}."
        raise WrongState(message, param="fine_tuning_job_id") from None


VALIDATED = "Files validated, moving job to queued state"
STARTED = "Fine-tuning job started"
CONTINUED = "Fine-tuning job continues from its newest training state"
WORKER_LOST = "Worker lost; the job continues from its newest training state"
HANDED_OVER = "The worker ends in order; the job goes on with the next one"
PAUSED = "Fine-tuning job paused"
RESUMED = "Fine-tuning job resumed, moving job to queued state"
GRADER_REPLACED = "Grader replaced: what is graded from now on is graded by the new one"
CANCELLED = "Fine-tuning job cancelled"
SUCCEEDED = "The job has successfully completed"
GAVE_UP = f"The job failed: its worker was lost {MAX_ATTEMPTS} times without completing a training step in between."


def created(job_id: str) -> str:
    """The first event of every job."""
    return f"Created fine-tuning job: {job_id}"


def validating(training_file: str, validation_file: str | None) -> str:
    """The second event of every job."""
    if validation_file is None:
        return f"Validating training file: {training_file}"
    return f"Validating training file: {training_file} and validation file: {validation_file}"


def checkpoint_created(step: int) -> str:
    """A checkpoint exists."""
    return f"Checkpoint created at step {step}"


def budget_set(seconds: float) -> str:
    """A job goes on with another budget."""
    return f"The job has a new budget of {seconds:g} seconds"


def model_created(name: str) -> str:
    """The tuned model has its name."""
    return f"New fine-tuned model created: {name}"
