"""Wire shapes of fine-tuning jobs: what a create body may hold, and how jobs, events and checkpoints are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.jobs.plan import Plan
from core.jobs.secrets import masked
from core.jobs.thinning import CurvePoint
from core.jobs.types import Checkpoint, Event, Job, JobStatus

Json = dict[str, Any]

MAX_SEED = 2**31 - 1
MAX_METADATA = 16
MAX_INTEGRATIONS = 5
TOP_HYPERPARAMETERS = ("batch_size", "learning_rate_multiplier", "n_epochs")
"""Those that OpenAI's job object has beside its method."""

MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class WandbSettings(BaseModel):
    """What OpenAI's service would send to Weights & Biases, and where."""

    model_config = ConfigDict(extra="allow")

    project: Annotated[str, StringConstraints(min_length=1)]
    name: str | None = None
    entity: str | None = None
    tags: list[str] | None = None


class Integration(BaseModel):
    """Another service that a job's metrics should go to."""

    model_config = ConfigDict(extra="allow")

    type: Literal["wandb"]
    wandb: WandbSettings


class Reinforcement(BaseModel):
    """The block `method.reinforcement`; grader and hyperparameters have schemas of their own."""

    model_config = ConfigDict(extra="allow")

    grader: Json
    hyperparameters: Json | None = None
    response_format: Json | None = None
    tools: list[Json] | None = None


class Method(BaseModel):
    """How to train. Blocks of the methods that `type` does not choose are ignored."""

    model_config = ConfigDict(extra="allow")

    type: Literal["supervised", "dpo", "reinforcement"]
    reinforcement: Reinforcement | None = None


class CreateJob(BaseModel):
    """The body of a create call. Unknown fields are kept and come back in the job."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    training_file: str
    validation_file: str | None = None
    method: Method | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA)] | None = None
    integrations: Annotated[list[Integration], Field(max_length=MAX_INTEGRATIONS)] | None = None
    hyperparameters: Json | None = None
    """Deprecated: read where the method's own block leaves a value out."""
    touchstone: Json | None = None


_KNOWN = frozenset(CreateJob.model_fields)
_UNCHOSEN = ("supervised", "dpo")
_UNRESOLVED: Json = {
    "batch_size": "auto",
    "learning_rate_multiplier": "auto",
    "n_epochs": "auto",
    "compute_multiplier": "auto",
    "eval_interval": "auto",
    "eval_samples": "auto",
    "reasoning_effort": "default",
}


def job_object(job: Job, organization: str) -> Json:
    """A job as clients see it. Unknown fields of the create body come first, so that none of them can hide one of ours."""
    request = job.request
    hyperparameters = _hyperparameters(job)
    return {
        **{name: value for name, value in request.items() if name not in _KNOWN},
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_at),
        "status": job.status.value,
        "model": request["model"],
        "fine_tuned_model": job.fine_tuned_model,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "result_files": list(job.result_files),
        "trained_tokens": job.trained_tokens if job.status is JobStatus.SUCCEEDED else None,
        "error": _error(job),
        "finished_at": _seconds(job.finished_at),
        "estimated_finish": _seconds(job.estimated_finish) if job.status is JobStatus.RUNNING else None,
        "seed": job.seed,
        "organization_id": f"org-{organization}",
        "integrations": request.get("integrations") or [],
        "metadata": request.get("metadata"),
        "user_provided_suffix": request.get("suffix"),
        "usage_metrics": _usage(job),
        "eval_id": job.eval_id,
        "shared_with_openai": False,
        "hyperparameters": {name: hyperparameters[name] for name in TOP_HYPERPARAMETERS},
        "method": _method(request["method"], hyperparameters),
        "touchstone": _options(job),
    }


def progress_object(job: Job, organization: str, curve: Sequence[CurvePoint] = ()) -> Json:
    """A job with how far it is: steps, and where a curve is given its points and the latest rewards."""
    progress: Json = {"step": job.step, "total_steps": (job.plan or {}).get("total_steps")}
    if curve:
        train = [[point.step, point.train] for point in curve if point.train is not None]
        valid = [[point.step, point.valid] for point in curve if point.valid is not None]
        progress |= {
            "curve": {"train": train, "valid": valid},
            "train_mean_reward": train[-1][1] if train else None,
            "full_valid_mean_reward": valid[-1][1] if valid else None,
        }
    return {**job_object(job, organization), "progress": progress}


def event_object(event: Event) -> Json:
    """An event as clients see it."""
    return {
        "object": "fine_tuning.job.event",
        "id": event.id,
        "created_at": int(event.created_at),
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def checkpoint_object(checkpoint: Checkpoint) -> Json:
    """A checkpoint as clients see it; RFT's metrics stand beside the few that OpenAI's types name."""
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": int(checkpoint.created_at),
        "fine_tuned_model_checkpoint": checkpoint.model_name,
        "fine_tuning_job_id": checkpoint.job_id,
        "step_number": checkpoint.step,
        "metrics": {**checkpoint.metrics, "step": checkpoint.step},
    }


def _hyperparameters(job: Job) -> Json:
    """As requested, or as numbers once they are resolved."""
    asked: Json = job.reinforcement.get("hyperparameters") or {}
    resolved = Plan.from_json(job.plan).hyperparameters() if job.plan else {}
    return {**_UNRESOLVED, **asked, **resolved}


def _options(job: Job) -> Json | None:
    if job.plan:
        return Plan.from_json(job.plan).options()
    asked: Json | None = job.request.get("touchstone")
    return asked


def _method(method: Json, hyperparameters: Json) -> Json:
    block: Json = method["reinforcement"]
    hidden: Json = {name: masked(block[name]) for name in ("grader", "tools") if name in block}
    shown = {"response_format": None, **block, **hidden, "hyperparameters": hyperparameters}
    return {**{name: value for name, value in method.items() if name not in _UNCHOSEN}, "reinforcement": shown}


def _error(job: Job) -> Json | None:
    if job.error is None:
        return None
    return {name: job.error.get(name) for name in ("code", "message", "param")}


def _usage(job: Job) -> Json | None:
    """What the job has cost so far; null until it has started."""
    if job.started_at is None:
        return None
    spent: Json = {"train_seconds": job.train_seconds, "trained_tokens": job.trained_tokens, "grader_tokens": {}}
    return {**spent, **job.usage}


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
