"""A real server over SQLite, two projects with a key each, and what a worker would do to a job, done by hand."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from openai import OpenAI

from api.app import create_app
from api.context import Context
from core.db import Database
from core.ids import new_id
from core.jobs.plan import Hyperparameters, Options, resolve
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.types import BatchRecord, Job, NewCheckpoint, StepRecord
from core.projects import ensure_default_project
from core.schema import migrate
from core.security.keys import KeyStore
from core.settings import DEFAULT_PROJECT, Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.tables import ProjectRow
from tests.integration.api.counted import Counted
from worker.rollouts import SCHEMA

Json = dict[str, Any]

KEY = "sk-the-tests-own-key"
FOREIGN_KEY = "sk-the-key-of-another-project"
FOREIGN_PROJECT = "proj_other"
MAX_FILE_BYTES = 256 * 1024
ROWS = [{"messages": [{"role": "user", "content": f"What is {n} + {n}?"}], "answer": str(2 * n)} for n in range(16)]
GRADER = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}
MODELS = (
    "models: {tiny: {source: ./tiny, max_model_len: 512}}\n"
    "aliases: {o4-mini-2025-04-16: tiny, gpt-4o-2024-08-06: tiny, gpt-4.1-2025-04-14: tiny}\n"
)


def jsonl(rows: list[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclass(frozen=True)
class Service:
    """A running server and the ways to talk to it."""

    base_url: str
    context: Context
    app: Counted

    def client(self, key: str = KEY, **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.base_url}/v1", api_key=key, max_retries=0, **options)

    def http(self, key: str | None = KEY) -> httpx2.Client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.base_url, headers=headers, timeout=60)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app behind a real uvicorn on a free port; yields its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=5, proxy_headers=False
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


def prepared(directory: Path, **changes: Any) -> Settings:
    """Settings of a service whose database is ready and knows both keys."""
    models = directory / "models.yaml"
    models.write_text(MODELS)
    values = {"data_dir": directory / "data", "models": models, "max_file_bytes": MAX_FILE_BYTES, **changes}
    settings = Settings(_env_file=None, **values)
    migrate(settings.database_url)
    database = Database(settings.database_url)
    ensure_default_project(database)
    with database.begin() as session:
        session.add(ProjectRow(project_id=FOREIGN_PROJECT, name="Other", created_at=0.0))
    keys = KeyStore(database)
    keys.create(DEFAULT_PROJECT, "test", secret=KEY)
    keys.create(FOREIGN_PROJECT, "test", secret=FOREIGN_KEY)
    database.dispose()
    return settings


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    app = create_app(settings)
    counted = Counted(app)
    with serving(counted) as base_url:
        yield Service(base_url, app.state.context, counted)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(prepared(tmp_path_factory.mktemp("service"))) as service:
        yield service


@pytest.fixture
def postgres_service(tmp_path: Path, postgres_database: str) -> Iterator[Service]:
    with running(prepared(tmp_path, database_url=postgres_database)) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[OpenAI]:
    with service.client() as client:
        yield client


@pytest.fixture
def strict_client(service: Service) -> Iterator[OpenAI]:
    """Refuses every reply that departs from OpenAI's types."""
    with service.client(_strict_response_validation=True) as client:
        yield client


@pytest.fixture
def foreign_client(service: Service) -> Iterator[OpenAI]:
    with service.client(FOREIGN_KEY) as client:
        yield client


@pytest.fixture
def http(service: Service) -> Iterator[httpx2.Client]:
    with service.http() as http:
        yield http


@pytest.fixture
def anonymous(service: Service) -> Iterator[httpx2.Client]:
    with service.http(None) as http:
        yield http


@pytest.fixture(scope="session")
def file_id(service: Service) -> str:
    with service.client() as client:
        return client.files.create(file=("train.jsonl", jsonl(ROWS)), purpose="fine-tune").id


@pytest.fixture
def body(file_id: str) -> Json:
    """A create body that is as it should be."""
    method = {"type": "reinforcement", "reinforcement": {"grader": dict(GRADER), "hyperparameters": {"n_epochs": 2}}}
    return {"model": "tiny", "training_file": file_id, "validation_file": file_id, "method": method}


@pytest.fixture
def job(client: OpenAI, body: Json) -> Any:
    """A job just created."""
    return client.fine_tuning.jobs.create(**body)


class Run:
    """A job in a worker's hands: what runners do to it, without a model."""

    def __init__(self, context: Context, job_id: str) -> None:
        self.context = context
        self.job_id = job_id
        self.leases = SqlLeaseStore(context.database)
        job = self.job
        hyperparameters = Hyperparameters.model_validate(job.reinforcement["hyperparameters"])
        options = Options.model_validate(job.request.get("touchstone") or {})
        self.plan = resolve(hyperparameters, options, train_rows=len(ROWS), valid_rows=len(ROWS))
        self.leases.validated(job, self.plan.to_json())
        while (lease := self.leases.claim("test", 600.0)) is not None and lease.job_id != job_id:
            pass
        assert lease is not None
        self.journal = SqlJournal(context.database, lease)

    @property
    def job(self) -> Job:
        return self.context.jobs(DEFAULT_PROJECT).get(self.job_id)

    def step(self, number: int, reward: float) -> None:
        metrics = {
            "step": number,
            "train_mean_reward": reward,
            "full_valid_mean_reward": None,
            "scores": {"graders": [{"name": "exact", "train_reward_mean": reward}]},
        }
        message = f"Step {number}/8 , train mean reward={reward:.2f}"
        self.journal.commit_step(StepRecord(number, metrics, message, trained_tokens=10, seconds=1.5))

    def checkpoint(self, step: int, reward: float, files: dict[str, bytes], directory: Path, *, name: str | None = None) -> str:
        """Keep a checkpoint with these files; returns the model's name."""
        source = directory / f"adapter-{step}"
        source.mkdir()
        for filename, content in files.items():
            (source / filename).write_bytes(content)
        prefix = ObjectKey.of(DEFAULT_PROJECT, "jobs", self.job_id, "checkpoints", f"step-{step}")
        key = manifest.write(self.context.objects, prefix, source, {"step": step})
        name = name or f"ft:tiny:local::{new_id('key_')[4:12]}:ckpt-step-{step}"
        metrics = {"train_mean_reward": reward, "full_valid_mean_reward": reward, "valid_reward_mean": reward}
        self.checkpoint_id = new_id("ftckpt_")
        new = NewCheckpoint(self.checkpoint_id, step, name, str(key), metrics, reward)
        self.journal.keep_checkpoint(new, keep_best=3)
        return name

    def rollouts(self, step: int, split: str, index: int, count: int) -> None:
        """Keep a sampling batch of `count` rollouts, the last of which failed to be graded."""
        rows = [_rollout(step, split, index, sample, failed=sample == count - 1) for sample in range(count)]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink)
        key = ObjectKey.of(DEFAULT_PROJECT, "jobs", self.job_id, "rollouts", f"{split}-{step}-{index}")
        stored = self.context.objects.put(key, [sink.getvalue().to_pybytes()])
        self.journal.keep_batch(BatchRecord(split, step, index, str(key), stored.sha256, count))

    def finish(self) -> str:
        stored = self.context.objects.put(ObjectKey.of(DEFAULT_PROJECT, "files", f"file-of-{self.job_id}"), [b"step\n"])
        name = f"ft:tiny:local::{new_id('key_')[4:12]}"
        self.journal.finish(model_name=name, checkpoint_id=self.checkpoint_id, results=stored)
        return name


def _rollout(step: int, split: str, batch: int, sample: int, *, failed: bool) -> Json:
    return {
        "step": step,
        "split": split,
        "batch": batch,
        "example": 7,
        "sample": sample,
        "prompt": "user: What is 7 + 7?",
        "completion": "14",
        "prompt_tokens": 9,
        "tokens": [1, 2],
        "logprobs": [-0.5, -0.25],
        "stop_reason": "stop",
        "seed": 2**63 + sample,
        "reward": None if failed else 1.0,
        "error_kind": "python_grader_runtime" if failed else None,
        "error_details": "ZeroDivisionError" if failed else None,
        "parts": json.dumps({"exact": {"reward": 1.0}}),
        "grade_seconds": 0.01,
        "advantage": None if failed else 0.5,
    }


@pytest.fixture
def make_run(service: Service) -> Callable[[str], Run]:
    """Puts a job into a runner's hands."""
    return partial(Run, service.context)


@pytest.fixture
def run(make_run: Callable[[str], Run], job: Any) -> Run:
    """A job that a runner has in hand."""
    return make_run(job.id)


@dataclass(frozen=True)
class Fresh:
    """For tests that need a service of their own."""

    settings: Any = prepared
    serving: Any = serving
    running: Any = running


@pytest.fixture(scope="session")
def fresh() -> Fresh:
    return Fresh()
