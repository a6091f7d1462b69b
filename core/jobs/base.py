"""The seams of a job's life. `sql_*.py` implements them over SQLAlchemy, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from core.creations import Attempt
from core.jobs.types import (
    BatchRecord,
    Checkpoint,
    Event,
    Job,
    JobCommand,
    Json,
    Lease,
    NewCheckpoint,
    NewJob,
    Page,
    StateRecord,
    StepRecord,
    Wish,
)
from core.storage.base import Stored


class JobStore(Protocol):
    """The jobs of one project, as its clients see and steer them. Unknown and foreign ids raise `NotFound` (404)."""

    def create(self, new: NewJob, attempt: Attempt | None = None) -> Job:
        """Write the job, its first events and its outbox row in one transaction; an `attempt` that came before gets its job."""

    def get(self, job_id: str) -> Job:
        """The job as it stands."""

    def list(
        self, *, after: str | None, limit: int, metadata: Mapping[str, str] | None, without_metadata: bool = False
    ) -> Page[Job]:
        """Newest first, after the job `after`; `metadata` keeps those that carry all its pairs.

        `without_metadata` keeps those whose metadata is null.
        """

    def command(
        self,
        job_id: str,
        command: JobCommand,
        *,
        grader: Json | None = None,
        budget_seconds: float | None = None,
        error: Json | None = None,
    ) -> Job:
        """Apply PAUSE, RESUME or CANCEL with its event in one transaction; raises `WrongState` (400).

        With RESUME a `grader` and a budget take the places of the job's; raises `InvalidRequest` for a budget that is used up
        already. With PAUSE `error` (code, message, param) is why the job stops by itself.
        """

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[Checkpoint]:
        """The job's checkpoints, latest step first."""

    def steps(self, job_id: str, *, after_step: int) -> Sequence[Json]:
        """Metrics of the committed steps above `after_step`, in order."""

    def batches(self, job_id: str, *, step: int, split: str | None) -> Sequence[BatchRecord]:
        """The kept sampling batches of one step, in order."""


class EventLog(Protocol):
    """The history of one project's jobs."""

    def list(self, job_id: str, *, after: str | None, limit: int) -> Page[Event]:
        """Newest first, after (that is: older than) the event `after`."""

    def since(self, job_id: str, seq: int, limit: int) -> Sequence[Event]:
        """Oldest first, those with a sequence number above `seq`."""


class LeaseStore(Protocol):
    """What a supervisor does with jobs of every project."""

    def unvalidated(self, job_id: str | None = None) -> Sequence[Job]:
        """Jobs in `validating_files`, oldest first and not too many at once; of those only `job_id` where it is given.

        Two workers may get the same ones: validation is idempotent.
        """

    def validated(self, job: Job, plan: Json) -> None:
        """Queue the job with its resolved plan; does nothing where its status has changed meanwhile."""

    def rejected(self, job: Job, error: Json) -> None:
        """Fail a job whose files are no good; does nothing where its status has changed meanwhile."""

    def claim(self, owner: str, ttl: float, models: Collection[str] | None = None) -> Lease | None:
        """Take the job whose turn it is: queued and let go of, or running under a lease that has expired. Raises the epoch.

        With `models`, only jobs on these base models. Projects share evenly, priorities hold within a project.
        A job claimed `MAX_ATTEMPTS` times without a committed step in between is failed instead.
        """

    def renew(self, lease: Lease, ttl: float) -> None:
        """Hold the lease for `ttl` seconds from now; raises `LeaseLost`."""

    def release(self, lease: Lease, *, delay: float = 0.0, counted: bool = True) -> None:
        """Let go; a job still `running` becomes due again after `delay` seconds. Never raises for a lost lease."""

    def job(self, lease: Lease) -> Job:
        """The leased job; raises `LeaseLost`."""


class Journal(Protocol):
    """A runner's writes on its one job. Each is one transaction under the fence: without it, `LeaseLost` and nothing written.

    Writing the same batch, step, state or checkpoint again is harmless: the first stays.
    """

    def keep_batch(self, batch: BatchRecord) -> Wish:
        """Record a sampling batch whose object is stored."""

    def commit_step(self, record: StepRecord) -> Wish:
        """Record a step's metrics with its metrics event, count its cost into the job, and pause it where the record says so."""

    def keep_state(self, state: StateRecord) -> Sequence[str]:
        """Record a training state; returns the manifest keys left without a row: of states it replaces, or its own."""

    def keep_checkpoint(self, new: NewCheckpoint, *, keep_best: int) -> Sequence[str]:
        """Record a checkpoint with its event, drop those neither best nor last; returns the manifest keys left without a row."""

    def event(self, message: str, *, level: str = "info", data: Json | None = None) -> None:
        """Append a message event."""

    def finish(self, *, model_name: str, checkpoint_id: str, results: Stored) -> Mapping[str, float]:
        """End the job `succeeded`, with its tuned model, and a result file of bytes that are stored.

        Returns how wrong its estimates of the end were (`core.jobs.estimates`).
        """

    def fail(self, error: Json) -> None:
        """End the job `failed`."""
