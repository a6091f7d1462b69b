"""What a step of a real job spends outside sampling, grading and update, and what passing weights to vLLM costs.

`outside` is measured in the demo's job, run by `rft serve`: the wall time between the commits of its first and its last step,
less the phases that its metrics name. What remains is everything that makes a job durable (kept rollouts, events, checkpoints,
training states) and the loop itself. `vllm_sync` is the share of a step of 8 prompts x 8 samples x 16 tokens that the sync takes,
with vLLM on the CPU. Both stand as the share that is allowed over the one that was measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select

from benchmarks import our_training, peers
from benchmarks.check import Check
from benchmarks.sampling_vs_vllm import vllm_python
from benchmarks.service import ROOT
from benchmarks.step_vs_trl import TOPICS
from benchmarks.steps import MODEL
from benchmarks.training_tasks import PRECISE_INSTRUCTIONS
from core.db import Database
from core.tables import StepRow

ALLOWED = 0.03
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 1.5, "eval_interval": 4, "eval_samples": 1}
"""The demo's."""
STEPS = 4


def run() -> list[Check]:
    """Both shares against `ALLOWED`."""
    shares = {"outside": _outside(), "vllm_sync": _sync_share()}
    return [Check(name, share, ALLOWED, "share", ALLOWED / share) for name, share in shares.items()]


def _outside() -> float:
    with tempfile.TemporaryDirectory(prefix="overhead-", dir=ROOT / "build") as directory:
        with our_training.client(Path(directory)) as openai:
            job_id = our_training.submit(openai, PRECISE_INSTRUCTIONS, 1, HYPERPARAMETERS)
            our_training.follow(openai, job_id, lambda _: False)
        database = Database(f"sqlite:///{Path(directory) / 'touchstone.db'}")
        with database.read() as session:
            rows = session.execute(
                select(StepRow.created_at, StepRow.metrics).where(StepRow.job_id == job_id).order_by(StepRow.step)
            ).all()
        database.dispose()
    wall = rows[-1].created_at - rows[0].created_at
    timings = [row.metrics["timing"]["step"] for row in rows[1:]]
    named = sum(timing[phase] for timing in timings for phase in ("sampling", "training", "eval"))
    return max(float(wall - named), 0.0) / float(wall)


def _sync_share() -> float:
    asked = "Write two short sentences about {}. Every sentence must start with the letter A."
    task = {
        "model": str(MODEL),
        "messages": [[{"role": "user", "content": asked.format(topic)}] for topic in TOPICS[:8]],
        "samples": 8,
        "tokens": 16,
        "steps": STEPS,
        "threads": os.cpu_count() or 1,
    }
    command = [str(vllm_python()), "-m", "benchmarks.vllm_sync"]
    done = subprocess.run(
        command, cwd=ROOT, env=peers.environment(), input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True
    )
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  vllm steps {result['steps']}, syncs {result['syncs']}", file=sys.stderr)
    return float(statistics.median(result["syncs"]) / statistics.median(result["steps"]))
