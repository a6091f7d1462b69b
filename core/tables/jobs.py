"""Jobs, their history and what they leave behind."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Base, Json


class JobRow(Base):
    """A fine-tuning job: the row is the job. Only `core.jobs` writes it."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    created_at: Mapped[float]
    status: Mapped[str]
    request: Mapped[Json]
    """The create body as it came, unknown fields included."""
    base_model: Mapped[str]
    seed: Mapped[int]
    plan: Mapped[Json | None]
    """Hyperparameters resolved to numbers (`core.jobs.plan.Plan`), once the files are validated."""
    step: Mapped[int] = mapped_column(default=0)
    """The last committed step."""
    trained_tokens: Mapped[int] = mapped_column(default=0)
    train_seconds: Mapped[float] = mapped_column(default=0.0)
    usage: Mapped[Json] = mapped_column(default=dict)
    fine_tuned_model: Mapped[str | None]
    result_files: Mapped[list[str]] = mapped_column(default=list)
    error: Mapped[Json | None]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    estimated_finish: Mapped[float | None]
    lease_epoch: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    """Claims since the last committed step."""
    not_before: Mapped[float] = mapped_column(default=0.0)
    niceness: Mapped[int] = mapped_column(default=0, server_default="0")
    """Minus the job's priority among those of its project, so that one index has the order of the queue."""
    next_seq: Mapped[int] = mapped_column(default=1)
    """The sequence number of the job's next event."""
    eval_id: Mapped[str | None]
    """Names the job's validations as an eval; set at the first claim of a job that has a validation file."""
    initial_checkpoint_id: Mapped[str | None]
    """The checkpoint that training goes on from; None for the base model itself. It stays until the job has ended."""
    traceparent: Mapped[str | None]
    """The span of the create call, as W3C's Trace Context writes it, where traces are kept (`core.telemetry.tracing`)."""
    __table_args__ = (
        Index("jobs_by_time", "project_id", "created_at", "id"),
        Index("jobs_by_status", "status", "created_at", "id"),
        Index("jobs_by_turn", "status", "project_id", "niceness", "created_at", "id"),
        Index("jobs_by_eval", "eval_id", unique=True),
        Index("jobs_by_start", "project_id", "started_at", "id"),
        Index("jobs_by_initial_checkpoint", "initial_checkpoint_id"),
    )


class JobMetadataRow(Base):
    """One pair of a job's metadata, for the filter of the list; `core.jobs.metadata` says what `pair` is."""

    __tablename__ = "job_metadata"
    project_id: Mapped[str] = mapped_column(primary_key=True)
    pair: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[float] = mapped_column(primary_key=True)
    """The job's."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)


class EventRow(Base):
    """One line of a job's history; `seq` has no gap within a job."""

    __tablename__ = "job_events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    created_at: Mapped[float]
    level: Mapped[str]
    type: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[Json | None]


class StepRow(Base):
    """The metrics of one committed step; step 0 is the evaluation before the first update."""

    __tablename__ = "job_steps"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str]
    epoch: Mapped[int]
    created_at: Mapped[float]
    metrics: Mapped[Json]


class BatchRow(Base):
    """A kept sampling batch: graded rollouts in one Parquet object."""

    __tablename__ = "job_batches"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    split: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    index: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str]
    epoch: Mapped[int]
    created_at: Mapped[float]
    object_key: Mapped[str]
    sha256: Mapped[str]
    samples: Mapped[int]
    bytes: Mapped[int | None]
    """Of the object; None where a version before this column kept it, until a sweep has looked."""
    __table_args__ = (Index("job_batches_by_project", "project_id", "bytes"),)


class StateRow(Base):
    """A training state (adapter and optimizer) from which a job resumes."""

    __tablename__ = "job_states"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str]
    epoch: Mapped[int]
    created_at: Mapped[float]
    manifest_key: Mapped[str]
    bytes: Mapped[int | None]
    """Of all parts, as of a batch."""
    __table_args__ = (Index("job_states_by_project", "project_id", "bytes"),)


class CheckpointRow(Base):
    """A downloadable, servable checkpoint. It exists if and only if this row does."""

    __tablename__ = "checkpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    step: Mapped[int] = mapped_column(Integer)
    epoch: Mapped[int]
    created_at: Mapped[float]
    model_name: Mapped[str] = mapped_column(unique=True)
    manifest_key: Mapped[str]
    metrics: Mapped[Json]
    valid_reward: Mapped[float | None]
    bytes: Mapped[int | None]
    """Of all parts, as of a batch."""
    __table_args__ = (
        Index("checkpoints_by_job", "job_id", "step", unique=True),
        Index("checkpoints_by_project", "project_id", "bytes"),
    )


class TunedModelRow(Base):
    """The name of a finished job's model, and the checkpoint behind it."""

    __tablename__ = "tuned_models"
    name: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id"))
    created_at: Mapped[float]


class CheckpointPermissionRow(Base):
    """Another project's right to sample from a checkpoint. `project_id` is the owner's."""

    __tablename__ = "checkpoint_permissions"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"))
    granted_to: Mapped[str] = mapped_column(ForeignKey("projects.project_id"))
    created_at: Mapped[float]
    __table_args__ = (
        Index("checkpoint_permissions_by_project", "checkpoint_id", "granted_to", unique=True),
        Index("checkpoint_permissions_by_time", "checkpoint_id", "created_at", "id"),
    )
