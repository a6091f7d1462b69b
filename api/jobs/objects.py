"""What replies about jobs hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, OpenReply, Reply
from core.jobs.types import JobStatus


class JobErrorObject(Reply):
    """Why a job failed."""

    code: str | None
    message: str | None
    param: str | None


class TopHyperparameters(Reply):
    """The three hyperparameters that OpenAI's job object has beside its method."""

    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]
    n_epochs: int | Literal["auto"]


class ReinforcementObject(OpenReply):
    """The block `method.reinforcement` with its secrets masked."""

    grader: Json
    hyperparameters: Json
    response_format: Json | None


class MethodObject(OpenReply):
    """How the job trains."""

    type: Literal["reinforcement"]
    reinforcement: ReinforcementObject


class JobObject(OpenReply):
    """A job, as `job_object` builds it; unknown fields of its create body stand beside these."""

    id: str
    object: Literal["fine_tuning.job"]
    created_at: int
    status: JobStatus
    model: str
    fine_tuned_model: str | None
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    error: JobErrorObject | None
    finished_at: int | None
    estimated_finish: int | None
    seed: int
    organization_id: str
    integrations: list[Json]
    metadata: dict[str, str] | None
    user_provided_suffix: str | None
    usage_metrics: Json | None
    eval_id: str | None
    shared_with_openai: Literal[False]
    hyperparameters: TopHyperparameters
    method: MethodObject
    touchstone: Json | None


class EventObject(Reply):
    """An event, as `event_object` builds it."""

    object: Literal["fine_tuning.job.event"]
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: Json | None


class CheckpointMetrics(OpenReply):
    """A checkpoint's metrics."""

    step: int


class CheckpointObject(Reply):
    """A checkpoint, as `checkpoint_object` builds it."""

    object: Literal["fine_tuning.job.checkpoint"]
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics


class StepMetrics(OpenReply):
    """The metrics of one step."""

    step: int


class Curve(Reply):
    """The metrics of a job's steps."""

    object: Literal["list"]
    data: list[StepMetrics]
    status: JobStatus
    step: int


class RolloutObject(OpenReply):
    """A kept rollout with its grade."""

    id: str
    object: Literal["fine_tuning.job.rollout"]
    step: int
    split: Literal["train", "valid"]
    batch: int
    example: int
    sample: int
    prompt: str
    completion: str
    reward: float | None
    advantage: float | None
    error_kind: str | None
    error_details: str | None
    parts: Json
    usage: Json
    completion_tokens: int


class RolloutGroupObject(Reply):
    """The completions of one prompt in one step, summed up."""

    id: str
    object: Literal["fine_tuning.job.rollout_group"]
    split: Literal["train", "valid"]
    step: int
    example: int
    prompt: str
    samples: int
    errors: int
    reward_mean: float | None
    reward_min: float | None
    reward_max: float | None
    completion_tokens_mean: float


class SampledStepObject(Reply):
    """A step of which rollouts are kept."""

    object: Literal["fine_tuning.job.sampled_step"]
    split: Literal["train", "valid"]
    step: int
    samples: int


class RegradeSide(Reply):
    """One grader's view of the rollouts."""

    graded: int
    reward_mean: float | None
    groups_with_spread: int
    errors: dict[str, int]


class RegradeError(Reply):
    """Why the other grader has no score for a sample."""

    kind: str
    details: str


class RegradedSample(Reply):
    """A rollout with both its rewards; long texts are cut in their middle."""

    id: str
    step: int
    example: int
    sample: int
    prompt: str
    completion: str
    reward_before: float | None
    reward_after: float | None
    error: RegradeError | None


class RegradeObject(Reply):
    """How rewards and ranks move under another grader, as `report_object` builds it."""

    object: Literal["fine_tuning.job.regrade"]
    fine_tuning_job_id: str
    grader: Json
    split: Literal["train", "valid"]
    steps: list[int]
    samples: int
    groups: int
    before: RegradeSide
    after: RegradeSide
    same_reward: float | None
    same_order: float | None
    kendall_tau: float | None
    ranked_groups: int
    changed: list[RegradedSample]
    failed: list[RegradedSample]
    model_grader_token_usage_per_model: dict[str, dict[str, int]]
