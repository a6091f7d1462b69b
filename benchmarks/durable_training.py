"""One side of `benchmarks.durability`: the demo's job, with or without all that makes it durable, in this process.

    python -m benchmarks.durable_training DIRECTORY on|off

Prints the seconds between the commits of its steps as one line of JSON. Both sides sample, grade and update the same tokens bit
by bit. `on` is the worker's own runner, its lease renewed as a supervisor does it. `off` keeps no rollouts, states, checkpoints,
steps or events, and writes none of their files.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import torch

from benchmarks.training_tasks import MODEL_DIR, MODEL_ID, PRECISE_INSTRUCTIONS
from core.db import Database
from core.files import FileStore
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import BatchRecord, Job, Lease, NewCheckpoint, NewJob, StateRecord, StepRecord, Wish
from core.jobs.validation import validate
from core.projects import ensure_default_project
from core.schema import migrate
from core.settings import DEFAULT_PROJECT, Settings
from core.storage.build import open_store
from worker import runner
from worker.checkpoint import PolicyKeeper
from worker.rollouts import Batch
from worker.sampling import BatchSampler

HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 1.5, "eval_interval": 4, "eval_samples": 1}
"""The demo's."""
_LEASE_SECONDS = 30.0
_RENEW_SECONDS = 2.0


class ForgetfulJournal(SqlJournal):
    """Records nothing."""

    def keep_batch(self, batch: BatchRecord) -> Wish:  # noqa: ARG002
        """Nothing."""
        return Wish.GO_ON

    def commit_step(self, record: StepRecord) -> Wish:
        """Tells the listener alone."""
        self._committed(record)
        return Wish.GO_ON

    def keep_state(self, state: StateRecord) -> Sequence[str]:  # noqa: ARG002
        """Nothing."""
        return ()

    def keep_checkpoint(self, new: NewCheckpoint, *, keep_best: int) -> Sequence[str]:  # noqa: ARG002
        """Nothing."""
        return ()

    def event(self, message: str, *, level: str = "info", data: Any = None) -> None:
        """Nothing."""


class ForgetfulSampler(BatchSampler):
    """Waits for grades and keeps no batch."""

    def _keep(self, wanted: Any, index: int, prompts: Any, completions: Any, answers: Any) -> tuple[Batch, Wish]:
        graded = tuple(self._graded(wanted, prompts, completions, answers))
        self._grading.accept([rollout.result for rollout in graded])
        return Batch(wanted.split, wanted.step, index, graded, wanted.policy_version), Wish.GO_ON


class ForgetfulKeeper(PolicyKeeper):
    """Saves neither states nor checkpoints."""

    def save_state(self, step: int) -> None:
        """Nothing."""

    def save_checkpoint(self, step: int, model_name: str, metrics: Any, valid_reward: float | None) -> None:
        """Nothing."""

    def hold(self) -> None:
        """Nothing."""


class Timed(runner.Runner):
    """The worker's runner, with the moments at which its steps were committed."""

    def __init__(self, settings: Settings, lease: Lease, *, durable: bool) -> None:
        super().__init__(settings, lease)
        self.moments: list[float] = []
        journal = SqlJournal if durable else ForgetfulJournal
        self._journal = journal(self._database, lease, lambda _: self.moments.append(monotonic()))
        self._durable = durable

    def _finish(self, job: Job) -> None:
        if self._durable:
            super()._finish(job)


def main(directory: Path, *, durable: bool) -> None:
    """Run the job once and print the seconds of its steps."""
    torch.set_num_threads(os.cpu_count() or 1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    settings = Settings(_env_file=None, data_dir=directory, model_dir=MODEL_DIR, sandbox_level="none")
    lease = leased(settings)
    timed = Timed(settings, lease, durable=durable)
    over = threading.Event()
    if durable:
        threading.Thread(target=_renew, args=(settings, lease, over), daemon=True).start()
        timed.run()
    else:
        with mock.patch.multiple(runner, BatchSampler=ForgetfulSampler, PolicyKeeper=ForgetfulKeeper):
            timed.run()
    over.set()
    print(json.dumps([after - before for before, after in zip(timed.moments, timed.moments[1:], strict=False)]))


def leased(settings: Settings) -> Lease:
    """The lease of the demo's job, as a worker gets it."""
    migrate(settings.database_url)
    database = Database(settings.database_url)
    ensure_default_project(database)
    files = FileStore(database, open_store(settings.object_store_url), DEFAULT_PROJECT, settings.max_file_bytes)
    train, valid = (
        files.create(f"{split}.jsonl", "fine-tune", [PRECISE_INSTRUCTIONS.file(split).read_bytes()]).id
        for split in ("train", "validation")
    )
    reinforcement = {"grader": PRECISE_INSTRUCTIONS.grader(), "hyperparameters": HYPERPARAMETERS}
    request = {
        "model": MODEL_ID,
        "training_file": train,
        "validation_file": valid,
        "method": {"type": "reinforcement", "reinforcement": reinforcement},
        "touchstone": {"max_completion_tokens": PRECISE_INSTRUCTIONS.tokens},
    }
    new = NewJob(request=request, base_model=MODEL_ID, seed=1, training_file=train, validation_file=valid)
    job = SqlJobStore(database, DEFAULT_PROJECT).create(new)
    leases = SqlLeaseStore(database)
    leases.validated(job, validate(job, files).to_json())
    lease = leases.claim("benchmark", _LEASE_SECONDS)
    assert lease is not None
    database.dispose()
    return lease


def _renew(settings: Settings, lease: Lease, over: threading.Event) -> None:
    leases = SqlLeaseStore(Database(settings.database_url))
    while not over.wait(_RENEW_SECONDS):
        leases.renew(lease, _LEASE_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), durable=sys.argv[2] == "on")
