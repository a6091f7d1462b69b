"""Values that cross the job seams: frozen, and never rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

Json = dict[str, Any]
T = TypeVar("T")


class JobStatus(StrEnum):
    """Where a job stands, in OpenAI's words (`paused` is real there, though missing in its enum)."""

    VALIDATING_FILES = "validating_files"
    """The files are being checked."""
    QUEUED = "queued"
    """Waiting for a worker."""
    RUNNING = "running"
    """A runner holds the lease, or held it until it died."""
    PAUSED = "paused"
    """Stopped by wish; `resume` queues it again."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobCommand(StrEnum):
    """What moves a job from one status to the next (`core.jobs.state.TRANSITIONS`)."""

    VALIDATED = "validated"
    CLAIM = "claim"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"
    FAIL = "fail"


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, newest first unless asked otherwise."""

    data: tuple[T, ...]
    has_more: bool


@dataclass(frozen=True)
class NewJob:
    """What a create call asks for, already checked."""

    request: Json
    base_model: str
    seed: int
    training_file: str
    validation_file: str | None
    initial_checkpoint_id: str | None = None
    """The checkpoint that training goes on from, where `base_model` alone is not the start."""
    priority: int = 0
    """Of the project's queued jobs, those with the highest are claimed first."""
    warnings: tuple[str, ...] = ()
    """What the client should know of its request: told by the job's first events."""
    traceparent: str | None = None
    """The span of the create call, where traces are kept."""


@dataclass(frozen=True)
class Job:
    """A job as its row stands."""

    id: str
    project_id: str
    created_at: float
    status: JobStatus
    request: Json
    base_model: str
    seed: int
    plan: Json | None
    step: int
    trained_tokens: int
    train_seconds: float
    usage: Json
    fine_tuned_model: str | None
    result_files: tuple[str, ...]
    error: Json | None
    """Why it failed, or why it paused by itself: code, message, param."""
    started_at: float | None
    finished_at: float | None
    estimated_finish: float | None
    lease_epoch: int
    attempts: int
    eval_id: str | None = None
    initial_checkpoint_id: str | None = None
    traceparent: str | None = None

    @property
    def training_file(self) -> str:
        """Id of the training file."""
        return str(self.request["training_file"])

    @property
    def validation_file(self) -> str | None:
        """Id of the validation file, where there is one."""
        value = self.request.get("validation_file")
        return str(value) if value else None

    @property
    def reinforcement(self) -> Json:
        """The method block of the create body: grader, hyperparameters, response_format."""
        block: Json = self.request["method"]["reinforcement"]
        return block


@dataclass(frozen=True)
class Lease:
    """The right to run one job: every write of its holder carries the epoch."""

    job_id: str
    project_id: str
    epoch: int


class Wish(StrEnum):
    """What the runner should do at the next border between sampling batches."""

    GO_ON = "go_on"
    LET_GO = "let_go"
    """Paused (and perhaps queued again): save a training state, then release the lease."""


@dataclass(frozen=True)
class Event:
    """One line of a job's history."""

    id: str
    seq: int
    created_at: float
    level: Literal["info", "warn", "error"]
    type: Literal["message", "metrics"]
    message: str
    data: Json | None


@dataclass(frozen=True)
class StepRecord:
    """A committed step: its metrics, and how far the job is."""

    step: int
    metrics: Json
    message: str
    """Text of the metrics event."""
    trained_tokens: int = 0
    """Completion tokens that this step's update used."""
    seconds: float = 0.0
    seconds_left: float | None = None
    """Until the job's end, as far as its steps tell; `metrics` hold it, too, for `core.jobs.estimates`."""
    pause: str | None = None
    """What pauses the job behind this step: its budget, used up."""


@dataclass(frozen=True)
class BatchRecord:
    """A kept sampling batch: which it is and where its object lies."""

    split: Literal["train", "valid"]
    step: int
    index: int
    object_key: str
    sha256: str
    samples: int
    bytes: int | None = None
    """Of its object, where that is known."""


@dataclass(frozen=True)
class StateRecord:
    """A kept training state after `step` updates."""

    step: int
    manifest_key: str
    bytes: int | None = None
    """Of its parts, where that is known."""


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint whose parts and manifest are stored, about to exist."""

    id: str
    step: int
    model_name: str
    manifest_key: str
    metrics: Json
    valid_reward: float | None
    bytes: int | None = None
    """Of its parts, where that is known."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that exists."""

    id: str
    project_id: str
    job_id: str
    created_at: float
    step: int
    model_name: str
    manifest_key: str
    metrics: Json
    valid_reward: float | None
