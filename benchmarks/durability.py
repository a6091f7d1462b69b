"""What it costs that nothing of a job is lost.

`training`: the demo's job with kept rollouts, leases, events, training states and checkpoints, against the same loop with all of
them switched off (`benchmarks.durable_training`). The sides take turns, each in a process of its own. Both do the same work bit
by bit, so of every step the fastest run counts: what remains of a difference is not the machine's mood. Limit: 3 %.
`checkpoint`: making a checkpoint of the demo's adapter, from its weights in memory to the row. Limit: 1 s.
`state`: 2 GB of files stored with hashes and a manifest, against a plain copy that is synced too. Limit: half the copy's speed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.check import Check
from benchmarks.durable_training import leased
from benchmarks.service import ROOT
from benchmarks.training_tasks import MODEL_DIR, MODEL_ID
from core.db import Database
from core.jobs.history import History
from core.jobs.sql_journal import SqlJournal
from core.settings import Settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.build import open_store
from core.storage.local import LocalObjectStore
from worker.checkpoint import PolicyKeeper
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model
from worker.policy.trained import UpdateConfig

ALLOWED_SHARE = 0.03
ALLOWED_SECONDS = 1.0
ALLOWED_SPEED = 0.5
ROUNDS = 3
STATE_ROUNDS = 5
CHECKPOINTS = 5
STATE_BYTES = 2 * 1024**3
FILES = 4
"""Of a state."""
_LEAST = 1e-4
"""Shares below are taken as this much."""


def run() -> list[Check]:
    """All three against their limits."""
    share = max(training(), _LEAST)
    seconds = checkpoint()
    ours, copied = state()
    speed = copied / ours
    return [
        Check("training", share, ALLOWED_SHARE, "share", ALLOWED_SHARE / share),
        Check("checkpoint", seconds, ALLOWED_SECONDS, "s", ALLOWED_SECONDS / seconds),
        Check("state", STATE_BYTES / ours / 1e6, STATE_BYTES / copied / 1e6, "MB/s", speed / ALLOWED_SPEED),
    ]


def training(rounds: int = ROUNDS) -> float:
    """By what share of its time the job takes longer for being durable."""
    runs: dict[str, list[list[float]]] = {"on": [], "off": []}
    for number in range(rounds):
        for side in ("on", "off") if number % 2 == 0 else ("off", "on"):
            runs[side].append(_seconds_of_steps(side))
            print(f"  {side:3} {sum(runs[side][-1]):7.2f} s", file=sys.stderr)
    on, off = (sum(min(step) for step in zip(*runs[side], strict=True)) for side in ("on", "off"))
    return float(on / off - 1)


def checkpoint() -> float:
    """Median seconds of a checkpoint of the demo's adapter."""
    model = load_model(MODEL_DIR / MODEL_ID)
    policy = LoraPolicy.fresh(model, rank=16, alpha=32, seed=0, config=UpdateConfig(learning_rate=1e-5, max_tokens=40))
    with _scratch() as directory:
        settings = Settings(_env_file=None, data_dir=directory, model_dir=MODEL_DIR)
        lease = leased(settings)
        database = Database(settings.database_url)
        keeper = PolicyKeeper(
            lease=lease,
            policy=policy,
            objects=open_store(settings.object_store_url),
            journal=SqlJournal(database, lease),
            history=History(database, lease),
        )
        seconds = [
            _timed(lambda step=step: keeper.save_checkpoint(step, f"ft:benchmark:{step}", {}, 0.0))  # type: ignore[misc]
            for step in range(1, CHECKPOINTS + 1)
        ]
        database.dispose()
    return statistics.median(seconds)


def state(size: int = STATE_BYTES, rounds: int = STATE_ROUNDS) -> tuple[float, float]:
    """Median seconds to store a state of `size` bytes, and to copy its files."""
    with _scratch() as directory:
        source = directory / "source"
        source.mkdir()
        block = torch.randint(0, 255, (16 * 1024**2,), dtype=torch.uint8).numpy().tobytes()
        for number in range(FILES):
            with (source / f"part-{number}").open("wb") as file:
                for _ in range(size // FILES // len(block)):
                    file.write(block)
        store = LocalObjectStore(directory / "objects")
        ours, copied = [], []
        for number in range(rounds):
            key = ObjectKey.of("proj", "states", f"step-{number}")
            ours.append(_timed(lambda key=key: manifest.write(store, key, source, {})))  # type: ignore[misc]
            manifest.delete(store, key / manifest.MANIFEST)
            copied.append(_timed(lambda: _copy(source, directory / "copy")))
            shutil.rmtree(directory / "copy")
    return statistics.median(ours), statistics.median(copied)


def _seconds_of_steps(side: str) -> list[float]:
    with _scratch() as directory:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RFT_")}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.durable_training", str(directory), side],
            cwd=ROOT,
            env={**environment, "GOMP_SPINCOUNT": "2000"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        with path.open("rb") as reader, (target / path.name).open("wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@contextmanager
def _scratch() -> Iterator[Path]:
    """On the disk of the checkout: what stands below /tmp may be memory."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="durability-", dir=ROOT / "build") as name:
        yield Path(name)
