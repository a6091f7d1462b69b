"""Jobs for the dashboard's pages, written by the stores' own functions without a model: long curves and many rollouts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.db import Database
from core.ids import new_id
from core.jobs.plan import Hyperparameters, Options, resolve
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import BatchRecord, Lease, NewCheckpoint, NewJob, StepRecord
from core.projects import ensure_default_project
from core.schema import migrate
from core.settings import DEFAULT_PROJECT, Settings
from core.storage.base import ObjectKey, ObjectStore, Stored
from core.storage.build import open_store
from graders.base import Grade
from worker import rollouts
from worker.metrics import GraderName, Json, Timing, step_message, step_metrics
from worker.policy.base import UpdateStats
from worker.rollout.base import Completion, StopReason
from worker.rollouts import Batch, Rollout

GROUP = 8
ROWS = 64
EVAL_EVERY = 10
PROMPTS_A_BATCH = 32
PARTS = ("share", "answer")
GRADER: Json = {
    "type": "multi",
    "name": "both",
    "graders": {
        name: {
            "type": "string_check",
            "name": name,
            "input": "{{sample.output_text}}",
            "reference": "{{item.answer}}",
            "operation": "ilike",
        }
        for name in PARTS
    },
    "calculate_output": "0.5 * share + 0.5 * answer",
}
_GRADERS = (GraderName(None, "both", "multi"), *(GraderName(name, name, "string_check") for name in PARTS))
_METHOD: Json = {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": {"eval_interval": EVAL_EVERY}}}


@dataclass(frozen=True)
class Texts:
    """What stands in a job's rollouts."""

    prompt: str = "Write two short sentences about the sea. Every sentence must start with the letter A."
    completion: str = "A wave is a hill of water that never stands still. All of it comes back to the shore in the end."


class World:
    """A migrated database and an object store that jobs are written to, while no worker runs."""

    def __init__(self, settings: Settings) -> None:
        migrate(settings.database_url)
        self._database = Database(settings.database_url)
        self._objects: ObjectStore = open_store(settings.object_store_url)
        ensure_default_project(self._database)

    def close(self) -> None:
        """Let go of the database."""
        self._database.dispose()

    def job(self, suffix: str, *, steps: int, prompts: int = 0, texts: Texts = Texts(), slim: bool = False) -> str:
        """A job that has succeeded after so many steps; its last one keeps the rollouts of so many prompts.

        `slim` leaves out the metrics of the members of its grader and what tokens and errors there were, as a grader without
        members has few of them.
        """
        request = {"model": "tiny", "suffix": suffix, "training_file": "file-A", "method": _METHOD, "seed": 7}
        job = SqlJobStore(self._database, DEFAULT_PROJECT).create(NewJob(request, "tiny", 7, "file-A", None))
        leases = SqlLeaseStore(self._database)
        leases.validated(job, resolve(Hyperparameters(), Options(), train_rows=ROWS, valid_rows=ROWS).to_json())
        lease = leases.claim("benchmark", 1e6)
        assert lease is not None
        journal = SqlJournal(self._database, lease)
        for step in range(steps + 1):
            metrics = _metrics(step, steps, texts)
            if slim:
                metrics = {**metrics, "usage": {"graders": []}, "errors": {"graders": []}}
            journal.commit_step(StepRecord(step, metrics, step_message(metrics), trained_tokens=100, seconds=1.0))
        for index in range(math.ceil(prompts / PROMPTS_A_BATCH)):
            examples = range(index * PROMPTS_A_BATCH, min(prompts, (index + 1) * PROMPTS_A_BATCH))
            self._keep(journal, lease, Batch("train", steps, index, tuple(_group(steps, steps, examples, texts))))
        checkpoint, name = new_id("ftckpt_"), f"ft:tiny:local:{suffix}:{job.id[-8:]}"
        journal.keep_checkpoint(NewCheckpoint(checkpoint, steps, f"{name}:ckpt-step-{steps}", "none", {}, 0.9), keep_best=3)
        journal.finish(
            model_name=name,
            checkpoint_id=checkpoint,
            results=Stored(ObjectKey.of(DEFAULT_PROJECT, "files", new_id("file-")), 0, ""),
        )
        return job.id

    def _keep(self, journal: SqlJournal, lease: Lease, batch: Batch) -> None:
        name = f"{batch.split}-{batch.step}-{batch.index}.parquet"
        key = ObjectKey.of(lease.project_id, "jobs", lease.job_id, f"e{lease.epoch}", "rollouts", name)
        stored = self._objects.put(key, [rollouts.write(batch)])
        journal.keep_batch(BatchRecord("train", batch.step, batch.index, str(key), stored.sha256, len(batch.rollouts)))


def _metrics(step: int, steps: int, texts: Texts) -> Json:
    train = _group(step, steps, range(1), texts) if step else None
    valid = _group(step, steps, range(2), texts) if step % EVAL_EVERY == 0 else None
    wave = 0.1 * math.sin(step / 7)
    update = UpdateStats(
        loss=-0.02 + wave / 9,
        policy_loss=-0.02 + wave / 9,
        kl=step / steps / 9,
        entropy=3 - 2 * step / steps + wave,
        clip_fraction=0.0,
        ratio_max=2e-5 * (1 + wave),
        grad_norm=0.4 + wave,
        tokens=256,
        skipped=False,
    )
    return step_metrics(
        step=step,
        total_steps=steps,
        graders=_GRADERS,
        failed_sample="minus_one",
        train=train,
        valid=valid,
        update=update if step else None,
        timing=Timing(sampling=5 + wave, training=6 - wave, eval=3.0 if valid else 0.0, full_iteration=11.5 + wave),
    )


def _group(step: int, steps: int, examples: Sequence[int], texts: Texts) -> list[Rollout]:
    """The samples of some prompts: rewards that rise over the steps, and spread within each group."""
    draw = random.Random(step * 100_003 + len(examples))
    made = []
    words = texts.completion.split(" ")
    chars = [len(word) + 1 for word in words[:-1]] + [len(words[-1])]
    for example in examples:
        for sample in range(GROUP):
            parts = {name: Grade(min(1.0, max(0.0, draw.gauss(step / (steps + 1), 0.2))), 0.01) for name in PARTS}
            reward = math.fsum(part.score for part in parts.values()) / len(parts)
            logprobs = tuple(-draw.expovariate(0.7) for _ in words)
            made.append(
                Rollout(
                    example=example,
                    sample=sample,
                    seed=draw.getrandbits(63),
                    prompt=f"<|im_start|>user\n{texts.prompt} ({example})<|im_end|>\n<|im_start|>assistant\n",
                    prompt_tokens=30,
                    text=texts.completion,
                    completion=Completion(tuple(range(len(words))), logprobs, StopReason.STOP),
                    result=Grade(reward, 0.02, dict(parts), details=texts.completion),
                    advantage=draw.gauss(0, 1),
                    token_chars_T=tuple(chars),
                )
            )
    return made
