"""An embedded service without HTTP: one data directory, jobs made through the stores, supervisors as real processes."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from sqlalchemy import select

from core.db import Database
from core.files import FileStore
from core.jobs.sql_events import SqlEventLog
from core.jobs.sql_store import SqlJobStore
from core.jobs.state import TERMINAL
from core.jobs.types import Event, Job, JobStatus, NewJob
from core.projects import ensure_default_project
from core.schema import migrate
from core.settings import DEFAULT_PROJECT, Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.build import open_store
from core.tables import BatchRow, CheckpointRow, EventRow, JobRow, StateRow, StepRow, TunedModelRow
from worker.rollouts import Batch, read

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 240.0
"""After which something awaited is given up. Not a measure of speed: a hang has to end somehow."""

HAS_AN_A: Json = {
    "type": "string_check",
    "name": "has an a",
    "input": "{{sample.output_text}}",
    "reference": "{{item.wanted}}",
    "operation": "ilike",
}
"""Easy to learn, and given by chance often enough to begin with."""


def rows(count: int, **columns: Any) -> list[Json]:
    """Rows of a dataset whose prompts differ in text and length."""
    return [
        {"messages": [{"role": "user", "content": f"{i} " + "tick " * (i % 3)}], "wanted": "a", **columns} for i in range(count)
    ]


@dataclass
class Service:
    """Everything a test needs of one data directory."""

    directory: Path
    model: Path
    database_url: str = ""
    """Of a PostgreSQL database; SQLite in the directory where empty."""
    object_store_url: str = ""
    """Of a bucket; a directory where empty."""
    lease_seconds: float = 2.0
    stall_seconds: float = 1800.0
    threads: int = 1
    redis_url: str | None = None
    judges: Json = field(default_factory=dict)
    """As in the operator's models file."""
    allow_private_urls: bool = False

    def __post_init__(self) -> None:
        models = self.directory / "models.yaml"
        models.parent.mkdir(parents=True, exist_ok=True)
        models.write_text(yaml.safe_dump({"models": {"tiny": {"source": str(self.model)}}, "judges": self.judges}))
        self.settings = Settings(
            data_dir=self.directory,
            models=models,
            database_url=self.database_url,
            object_store_url=self.object_store_url,
            lease_seconds=self.lease_seconds,
            stall_seconds=self.stall_seconds,
            redis_url=self.redis_url,
            poll_seconds=0.1,
            look_seconds=1.0,
            threads=self.threads,
            allow_private_urls=self.allow_private_urls,
        )
        migrate(self.settings.database_url)
        self.database = Database(self.settings.database_url)
        ensure_default_project(self.database)
        self.objects = open_store(self.settings.object_store_url)
        self.files = FileStore(self.database, self.objects, DEFAULT_PROJECT, self.settings.max_file_bytes)
        self.jobs = SqlJobStore(self.database, DEFAULT_PROJECT)
        self.events = SqlEventLog(self.database, DEFAULT_PROJECT)

    def in_project(self, project_id: str) -> Service:
        """The same service as a client of another project meets it."""
        other = copy.copy(self)
        other.files = FileStore(self.database, self.objects, project_id, self.settings.max_file_bytes)
        other.jobs, other.events = SqlJobStore(self.database, project_id), SqlEventLog(self.database, project_id)
        return other

    def upload(self, rows: Sequence[Json]) -> str:
        """The id of a dataset of these rows."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return self.files.create("rows.jsonl", "fine-tune", [text.encode()]).id

    def create(
        self,
        *,
        train: Sequence[Json],
        valid: Sequence[Json] = (),
        grader: Json = HAS_AN_A,
        hyperparameters: Json | None = None,
        options: Json | None = None,
        seed: int = 7,
        initial_checkpoint_id: str | None = None,
    ) -> Job:
        """A new job on the tiny model, or going on from a checkpoint of it."""
        files = {"training_file": self.upload(train), "validation_file": self.upload(valid) if valid else None}
        reinforcement = {"grader": grader, "hyperparameters": hyperparameters or {}}
        request = {
            "model": "tiny",
            "method": {"type": "reinforcement", "reinforcement": reinforcement},
            "suffix": "demo",
            "touchstone": options or {},
            **files,
        }
        new = NewJob(request=request, base_model="tiny", seed=seed, initial_checkpoint_id=initial_checkpoint_id, **files)
        return self.jobs.create(new)

    def start_module(self, *arguments: str, **variables: str) -> psutil.Popen:
        """A module of the service as a process that goes when its standard input is closed."""
        environment = {**self.settings.environment(), "PYTHONPATH": str(ROOT), **variables}
        with (self.directory / "supervisor.log").open("ab") as log:
            return psutil.Popen(
                [sys.executable, "-m", *arguments, "--follow-stdin"],
                env=environment,
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def supervisor(self, **variables: str) -> Iterator[psutil.Popen]:
        """A supervisor process, ended with the block (and its runner with it) unless a test has killed it."""
        process = self.start_module("worker.supervisor", **variables)
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(PATIENCE_SECONDS)

    def wait(self, what: Callable[[], Any]) -> Any:
        """The first true value of `what`."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not (value := what()):
            assert time.monotonic() < give_up, f"waited in vain; {self.log()[-4000:]}"
            time.sleep(0.005)
        return value

    def wait_for_step(self, job_id: str, step: int) -> None:
        """Until a step is committed; fails where the job ends before."""

        def reached() -> bool:
            job = self.jobs.get(job_id)
            if job.step < step:
                assert job.status not in TERMINAL, f"{job.status}: {job.error}; {self.log()[-4000:]}"
            return job.step >= step

        self.wait(reached)

    def wait_for_pause(self, job_id: str) -> None:
        """Until the job is paused and its runner has let go; fails where the job ends before."""

        def paused() -> bool:
            job = self.jobs.get(job_id)
            assert job.status not in TERMINAL, f"{job.status}: {job.error}; {self.log()[-4000:]}"
            return job.status is JobStatus.PAUSED and self.lease_owner(job_id) is None

        self.wait(paused)

    def wait_for_end(self, job_id: str) -> Job:
        """Until the job's status is final."""
        self.wait(lambda: self.jobs.get(job_id).status in TERMINAL)
        return self.jobs.get(job_id)

    def run(self, job: Job) -> Job:
        """The job, run to its end by one supervisor."""
        with self.supervisor():
            return self.wait_for_end(job.id)

    def log(self) -> str:
        """What supervisors and runners have written."""
        return (self.directory / "supervisor.log").read_text(errors="replace")

    def history(self, job_id: str) -> list[Event]:
        """The job's events, oldest first."""
        return list(self.events.since(job_id, 0, 10_000))

    def rollouts(self, job_id: str, step: int, split: str) -> list[Batch]:
        """The kept sampling batches of one step."""
        batches = []
        for record in self.jobs.batches(job_id, step=step, split=split):
            with self.objects.open(ObjectKey.parse(record.object_key)) as stream:
                batches.append(read(stream))
        return batches

    def tables(self, job_id: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row that a runner may write for a job, with the job's own."""
        with self.database.read() as session:
            own = {"jobs": session.execute(select(JobRow.__table__).where(JobRow.id == job_id))}
            kept = {
                table.__tablename__: session.execute(select(table.__table__).where(table.job_id == job_id))
                for table in (EventRow, StepRow, BatchRow, StateRow, CheckpointRow, TunedModelRow)
            }
            return {name: sorted((tuple(row) for row in rows), key=repr) for name, rows in {**own, **kept}.items()}

    def lease_owner(self, job_id: str) -> str | None:
        """Who holds the job's lease."""
        with self.database.read() as session:
            return session.get_one(JobRow, job_id).lease_owner

    def state_keys(self, job_id: str) -> list[str]:
        """Manifest keys of the job's training states."""
        with self.database.read() as session:
            return list(session.scalars(select(StateRow.manifest_key).where(StateRow.job_id == job_id)))

    def close(self) -> None:
        """Let go of the database."""
        self.database.dispose()

    def outcome(self, job_id: str) -> Outcome:
        """What of a finished job must not depend on what happened to it on the way."""
        last = self.jobs.checkpoints(job_id, after=None, limit=1).data[0]
        parts = manifest.read(self.objects, ObjectKey.parse(last.manifest_key)).parts
        (weights,) = (part.sha256 for part in parts if part.name.endswith(".safetensors"))
        names = ("train_mean_reward", "full_valid_mean_reward", "completion_tokens_mean")
        figures = [(metrics["step"], *(metrics[name] for name in names)) for metrics in self.jobs.steps(job_id, after_step=-1)]
        return Outcome(last.step, weights, tuple(figures))


@dataclass(frozen=True)
class Outcome:
    """A job's last adapter (or model, where every weight was trained) and its curves."""

    step: int
    adapter_sha256: str
    curves: tuple[Any, ...]


def runner_of(supervisor: psutil.Popen) -> psutil.Process | None:
    """The runner under a supervisor, if one is alive."""
    for child in supervisor.children():
        with suppress(psutil.NoSuchProcess):  # it ended at this moment, or waits to be reaped
            if "worker.runner" in child.cmdline():
                return child
    return None


def kill(process: psutil.Process) -> None:
    """SIGKILL, and wait until the process is gone."""
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs([process], timeout=PATIENCE_SECONDS)
