"""The parts of a job's life over one database, and jobs brought to where a test wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.db import Database
from core.jobs.history import History
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import BatchRecord, Job, Json, Lease, NewCheckpoint, NewJob, StepRecord
from core.settings import DEFAULT_PROJECT
from core.storage.base import ObjectKey, Stored

FOREIGN_PROJECT = "proj_foreign"
TTL = 30.0
PLAN: Json = {"total_steps": 10}


class Clock:
    """A clock that a test turns, for the database's own."""

    def __init__(self) -> None:
        self.seconds = 1_750_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Parts:
    """Everything that touches the default project's jobs."""

    database: Database
    clock: Clock
    store: SqlJobStore
    events: SqlEventLog
    leases: SqlLeaseStore

    @classmethod
    def over(cls, database: Database, clock: Clock) -> Parts:
        store, events = SqlJobStore(database, DEFAULT_PROJECT), SqlEventLog(database, DEFAULT_PROJECT)
        return cls(database, clock, store, events, SqlLeaseStore(database))

    def created(self, **request: Any) -> Job:
        """A new job, younger than those before."""
        self.clock.advance(1.0)
        return self.store.create(new_job(**request))

    def queued(self) -> Job:
        job = self.created()
        self.leases.validated(job, PLAN)
        return self.store.get(job.id)

    def running(self, owner: str = "one") -> tuple[Lease, SqlJournal]:
        """A job of its own, claimed."""
        job = self.queued()
        lease = self.claim(owner)
        assert lease.job_id == job.id
        return lease, self.journal(lease)

    def claim(self, owner: str = "one", ttl: float = TTL) -> Lease:
        lease = self.leases.claim(owner, ttl)
        assert lease is not None
        return lease

    def journal(self, lease: Lease) -> SqlJournal:
        return SqlJournal(self.database, lease)

    def history(self, lease: Lease) -> History:
        return History(self.database, lease)

    def finished(self) -> Job:
        """A job that succeeded with one checkpoint."""
        lease, journal = self.running()
        checkpoint = new_checkpoint(lease.job_id, 1)
        journal.keep_checkpoint(checkpoint, keep_best=3)
        journal.finish(model_name=f"ft:tiny:{lease.job_id}", checkpoint_id=checkpoint.id, results=results(lease))
        return self.store.get(lease.job_id)

    def messages(self, job_id: str) -> list[str]:
        """The job's events, oldest first."""
        return [event.message for event in self.events.since(job_id, 0, 1000)]


def new_job(**request: Any) -> NewJob:
    body = {"model": "tiny", "training_file": "file-A", "validation_file": "file-B", **request}
    return NewJob(request=body, base_model="tiny", seed=7, training_file="file-A", validation_file=body["validation_file"])


def results(lease: Lease) -> Stored:
    """What a runner has stored as the job's result file."""
    return Stored(ObjectKey.of(lease.project_id, "files", f"file-of-{lease.job_id}"), 3, "0" * 64)


def batch(step: int, index: int = 0, split: Any = "train", key: str = "key") -> BatchRecord:
    return BatchRecord(split=split, step=step, index=index, object_key=key, sha256="0" * 64, samples=8)


def step(number: int, **changes: Any) -> StepRecord:
    return StepRecord(step=number, metrics={"step": number}, message=f"Step {number}/10", **changes)


def new_checkpoint(job_id: str, number: int, valid_reward: float | None = 0.5, key: str | None = None) -> NewCheckpoint:
    return NewCheckpoint(
        id=f"ftckpt_{job_id}-{number}",
        step=number,
        model_name=f"ft:tiny:{job_id}:ckpt-step-{number}",
        manifest_key=key or f"manifest-{number}",
        metrics={"step": number},
        valid_reward=valid_reward,
    )
