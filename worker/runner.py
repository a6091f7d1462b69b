"""The runner: one process, one job, started by the supervisor that holds its lease.

`python -m worker.runner JOB_ID PROJECT_ID EPOCH`
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from core import response_format
from core.datasets.check import MAX_TRAINING_ROWS, MAX_VALIDATION_ROWS
from core.errors import JobFailure, LeaseLost, QuotaExceeded, RftError, StorageFull, Unavailable, WrongState
from core.failpoints import hit
from core.files import FileStore
from core.jobs import state
from core.jobs.curve import curve_csv
from core.jobs.history import History
from core.jobs.names import model_names
from core.jobs.plan import Plan
from core.jobs.ranking import best_first
from core.jobs.sql_journal import SqlJournal
from core.jobs.sql_leases import SqlLeaseStore
from core.jobs.sql_store import SqlJobStore
from core.jobs.types import Job, JobCommand, JobStatus, Lease
from core.lifeline import exit_with_owner, mark_progress
from core.limits.base import Limits
from core.models import BaseModel, ModelRegistry
from core.settings import Settings, get_settings
from core.storage import manifest
from core.storage.base import ObjectKey
from core.storage.build import open_store
from core.telemetry import logs
from core.telemetry.context import of_process
from core.wakeups import open_database
from worker import torchrun
from worker.canary import LIMITS, Canary
from worker.checkpoint import PolicyKeeper
from worker.exits import IN_ORDER, LEASE_LOST, OUTAGE
from worker.grading import FailureWatch, GradingPool
from worker.leaving import Leaving
from worker.loop import LoopParts, TrainingLoop
from worker.policy.chat import ChatTokenizer
from worker.policy.full_policy import FullPolicy
from worker.policy.led_policy import LedPolicy, follow
from worker.policy.lora import Adapter
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model
from worker.policy.ranks import ALONE, Ranks
from worker.policy.trained import TrainedPolicy, UpdateConfig
from worker.policy.tuned import tuned_weights
from worker.prompts import load_prompts
from worker.reward import Reward
from worker.rollout.build import build_engine
from worker.sampling import BatchSampler, LetGo
from worker.seeds import derive
from worker.telling import Telling

log = logging.getLogger("worker.runner")

T = TypeVar("T")


class Runner:
    """Puts one job's parts together, runs its loop, and ends it. Of several ranks the first does so, and the others `follow`."""

    def __init__(self, settings: Settings, lease: Lease, device: str = "cpu", ranks: Ranks = ALONE) -> None:
        self._settings, self._lease = settings, lease
        self._device, self._ranks = device, ranks
        self._database = open_database(settings)
        self._objects = open_store(settings.object_store_url)
        self._files = FileStore(self._database, self._objects, lease.project_id, settings.max_file_bytes)
        self._jobs = SqlJobStore(self._database, lease.project_id)
        self.leaving, self._telling = Leaving(), Telling(leads=ranks.leads)
        self._journal = SqlJournal(self._database, lease, self._telling.step, Limits.default(settings), self.leaving.asked)
        self._history = History(self._database, lease)
        self._leases = SqlLeaseStore(self._database)

    def run(self) -> None:
        """The job from wherever it stands to its end, or to a pause. Raises `LeaseLost`, and `Unavailable` in an outage."""
        job = self._leases.job(self._lease)
        with self._telling.run(job) as span:
            self._run(job)
            span.set(status=self._jobs.get(job.id).status.value)

    def _run(self, job: Job) -> None:
        try:
            self._train(job)
            self._finish(job)
            hit("after_export")
        except LetGo:
            log.info("job %s: let go of", job.id)
            if self._hands_over():
                self._journal.event(state.HANDED_OVER)
        except (LeaseLost, Unavailable):
            raise
        except (StorageFull, QuotaExceeded) as error:
            message = f"{error.message} The job is paused; free some space and resume it."
            self._journal.event(message, level="error")
            with suppress(WrongState):  # paused by its owner: what was to be kept for that did not fit
                self._pause("storage_full", message)
        except RftError as error:
            self._journal.fail({"code": error.code or JobFailure.code, "message": error.message, "param": error.param})
        self._leases.release(self._lease, counted=not self.leaving.asked())

    def follow(self) -> None:
        """Compute this rank's share of the job's updates, for as long as the first rank wants it."""
        try:
            job = self._leases.job(self._lease)
            plan, base = Plan.to_run(job.plan or {}), ModelRegistry.load(self._settings).resolve(job.base_model)
            follow(self._policy(job, plan, base), self._ranks)
        except RftError as error:  # the first rank comes to the same end, and tells of it
            log.info("%s", error.message)

    def _hands_over(self) -> bool:
        """Whether the next worker takes the job up at once: this one ends, and nobody has paused the job."""
        return self.leaving.asked() and self._leases.job(self._lease).status is JobStatus.RUNNING

    def _pause(self, code: str, message: str) -> None:
        self._jobs.command(self._lease.job_id, JobCommand.PAUSE, error={"code": code, "message": message, "param": None})

    def _train(self, job: Job) -> None:
        plan = Plan.to_run(job.plan or {})
        models = ModelRegistry.load(self._settings)
        base = models.resolve(job.base_model)
        chat = ChatTokenizer(base.directory)
        policy = self._policy(job, plan, base)
        led = LedPolicy(policy, self._ranks)
        max_len = min(policy.model.max_len, base.max_model_len or policy.model.max_len)
        room = max_len - plan.max_completion_tokens
        train = load_prompts(self._files, job.training_file, MAX_TRAINING_ROWS, chat, room)
        valid = load_prompts(self._files, job.validation_file, MAX_VALIDATION_ROWS, chat, room) if job.validation_file else []
        reward = self._reward(models, job)
        grading = GradingPool(reward.grader, FailureWatch(plan.grader_error_limit))
        keeper = PolicyKeeper(lease=self._lease, policy=led, objects=self._objects, journal=self._journal, history=self._history)
        engine, synced = build_engine(base, self._settings, plan, policy, chat, job.id, self._warn)
        limit = self._settings.vllm_sync_limit or LIMITS[base.dtype]
        sampler = BatchSampler(
            lease=self._lease,
            plan=plan,
            job_seed=job.seed,
            engine=engine,
            grading=grading,
            chat=chat,
            objects=self._objects,
            journal=self._journal,
            history=self._history,
            response_format=response_format.parse(job.reinforcement.get("response_format"), "response_format"),
        )
        parts = LoopParts(
            plan=plan,
            job_seed=job.seed,
            train=train,
            valid=valid,
            graders=reward.names,
            checkpoint_stem=self._names(job)[1],
            engine=engine,
            policy=led,
            sampler=sampler,
            keeper=keeper,
            journal=self._journal,
            history=self._history,
            pause=self._pause,
            leaving=self._hands_over,
            canary=Canary(synced, policy, 1.0 if base.servers else plan.temperature, limit) if synced else None,
        )
        try:
            mark_progress()
            TrainingLoop(parts, seconds_before=job.train_seconds).run()
        finally:
            keeper.close()
            if grading.failure:  # what is still being asked for is of no use
                reward.close()
            sampler.close()
            engine.close()
            reward.close()

    def _warn(self, message: str) -> None:
        self._journal.event(message, level="warn")

    def _reward(self, models: ModelRegistry, job: Job) -> Reward:
        try:
            return Reward(self._settings, models, job.project_id, job.reinforcement["grader"])
        except Unavailable as error:  # a judge without its key: waiting does not help
            raise JobFailure(error.message, code=error.code, param=error.param) from error

    def _policy(self, job: Job, plan: Plan, base: BaseModel) -> TrainedPolicy:
        if not base.prepared:
            raise JobFailure(
                f"Model {base.id} is not prepared on this machine: run `rft models fetch {base.id}`.", code="model_not_ready"
            )
        model = load_model(base.directory, self._device, getattr(torch, base.dtype))
        config = UpdateConfig(
            learning_rate=plan.learning_rate,
            loss=plan.loss,
            kl_coef=plan.kl_coef,
            clip_low=plan.clip_low,
            clip_high=plan.clip_high,
            inner_epochs=plan.inner_epochs,
            max_tokens=plan.max_completion_tokens,
            recompute=self._settings.activation_checkpointing,
        )
        ranks = self._ranks
        if plan.is_full:
            start = self._initial(job, partial(tuned_weights, model))
            if ranks.alone:
                return FullPolicy(model, config, start)
            from worker.policy.sharded_policy import ShardedPolicy  # with it comes much that nobody else needs

            return ShardedPolicy(model, config, ranks, start)
        if (adapter := self._initial(job, partial(Adapter.read, weights=model.weights))) is not None:
            return LoraPolicy(model, adapter, config, ranks)
        seed = derive(job.seed, "adapter") >> 1  # torch's generator takes 63 bits
        return LoraPolicy.fresh(model, rank=plan.lora_rank, alpha=plan.lora_alpha, seed=seed, config=config, ranks=ranks)

    def _initial(self, job: Job, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the checkpoint that training goes on from, None without one. Raises `JobFailure` if it is gone."""
        if job.initial_checkpoint_id is None:
            return None
        checkpoint = self._jobs.checkpoint(job.initial_checkpoint_id)
        if checkpoint is None:
            raise JobFailure("The checkpoint to start from does not exist any more.", code="model_not_found", param="model")
        with tempfile.TemporaryDirectory(prefix="rft-start-") as directory:
            manifest.fetch(self._objects, ObjectKey.parse(checkpoint.manifest_key), Path(directory))
            return read(Path(directory))

    def _finish(self, job: Job) -> None:
        checkpoints = self._history.checkpoints()
        ranked = best_first(checkpoints) if Plan.from_json(job.plan or {}).final_checkpoint == "best" else []
        final = next(iter(ranked), checkpoints[-1])
        hit("before_export")
        # Its row is written with the job's end: a runner killed in between leaves bytes to sweep, and no second file to see.
        results = self._files.receive([curve_csv(self._history.steps()).encode()])
        hit("mid_export")
        try:
            errors = self._journal.finish(model_name=self._names(job)[0], checkpoint_id=final.id, results=results)
        except LeaseLost:
            self._files.discard(results)
            raise
        self._telling.ended(errors)

    def _names(self, job: Job) -> tuple[str, str]:
        suffix: Any = job.request.get("suffix")
        return model_names(job.base_model, self._settings.organization, suffix, job.id)


def main(arguments: Sequence[str]) -> int:
    """Run the leased job; returns one of `worker.exits`."""
    exit_with_owner()
    hit("runner_started")
    job_id, project_id, epoch = arguments
    settings = get_settings()
    logs.configure(settings)
    of_process(job_id=job_id, project_id=project_id, epoch=int(epoch))
    if settings.trainer_processes > 1 and not torchrun.is_rank():
        return torchrun.run_ranks(settings.trainer_processes, "worker.runner", arguments)
    ranks, device = torchrun.join(_device(settings))
    # The number of threads decides how sums are split, hence the last bits: it belongs to a run's configuration.
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 1) // ranks.count))
    torch.set_deterministic_debug_mode("error")  # `use_deterministic_algorithms` imports torch's compiler, which takes seconds
    # Filling new tensors costs time, and nothing here reads what it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    runner = Runner(settings, Lease(job_id, project_id, int(epoch)), device, ranks)
    if not ranks.leads:
        runner.follow()
        return IN_ORDER
    if ranks.count == 1:  # of several the others would die of a signal, and the first could not go on
        runner.leaving.listen()
    return torchrun.leave_status(_led(runner, job_id), ranks)


def _led(runner: Runner, job_id: str) -> int:
    try:
        runner.run()
    except LeaseLost as error:
        log.info("%s", error.message)
        return LEASE_LOST
    except Unavailable as error:
        log.warning("job %s: given back for a while: %s", job_id, error.message)
        return OUTAGE
    return IN_ORDER


def _device(settings: Settings) -> str:
    if settings.runner_device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return settings.runner_device


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
