"""The training loop: one pass of `_step` is one step of a job, and reads as the service's design states it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from core.errors import WrongState
from core.failpoints import hit
from core.jobs.base import Journal
from core.jobs.history import History
from core.jobs.plan import Plan
from core.jobs.types import StepRecord, Wish
from graders.base import GradeError
from worker.ahead import Ahead
from worker.canary import Canary
from worker.checkpoint import PolicyKeeper
from worker.drawing import Drawn, StepDrawer
from worker.grading import GraderFailing
from worker.metrics import GraderName, Timing, step_message, step_metrics
from worker.policy.base import PolicyTrainer, UpdateStats
from worker.rollout.base import RolloutEngine
from worker.sampling import BatchSampler, LetGo, Prompt, Sampled, Wanted
from worker.update_watch import UpdateWatch

Json = dict[str, Any]

_RECENT_STEPS = 10
"""By whose time the time of those to come is told."""


@dataclass(frozen=True)
class LoopParts:
    """Everything a run works with."""

    plan: Plan
    job_seed: int
    train: Sequence[Prompt]
    valid: Sequence[Prompt]
    graders: Sequence[GraderName]
    checkpoint_stem: str
    engine: RolloutEngine
    policy: PolicyTrainer
    sampler: BatchSampler
    keeper: PolicyKeeper
    journal: Journal
    history: History
    pause: Callable[[str, str], None]
    """Pauses the job, as its owner's call would, with the code and the message of the reason."""
    leaving: Callable[[], bool] = lambda: False
    """Whether the job is let go of for the next worker to take it up at once."""
    canary: Canary | None = None
    """For engines that do not share the policy's weights."""


class TrainingLoop:
    """Runs a job's steps from wherever its predecessors stopped."""

    def __init__(self, parts: LoopParts, *, seconds_before: float) -> None:
        self._parts = parts
        self._seconds_before = self._seconds = seconds_before
        self._updates = 0
        self._committed = -1
        self._durations: list[float] = []
        self._sync_difference: float | None = None
        self._drawer = StepDrawer(parts.plan, parts.job_seed, parts.train, parts.sampler)
        self._ahead = Ahead(self._drawer.draw, parts.sampler.stop) if parts.plan.max_staleness else None

    def run(self) -> None:
        """All steps up to the plan's last. Raises `LetGo` when the job is paused, `LeaseLost` when it is no longer ours.

        Kept batches of steps behind the newest training state are replayed: the same updates from the same tokens, nothing
        sampled or committed again.
        """
        parts, committed = self._parts, self._parts.history.steps()
        self._committed = max((metrics["step"] for metrics in committed), default=-1)
        self._updates = parts.keeper.restore()
        self._watch = UpdateWatch(committed, self._updates, partial(parts.journal.event, level="warn"))
        if self._updates:
            parts.engine.sync()
        hit("before_training")
        try:
            if self._committed < 0:
                self._evaluate_untrained()
            for step in range(self._updates + 1, parts.plan.total_steps + 1):
                self._step(step)
        except LetGo:
            self._keep_for_resume()
            raise
        except GraderFailing as failure:
            self._pause_for(failure)
            self._keep_for_resume()
            raise LetGo from failure
        finally:
            if self._ahead:
                self._ahead.close()

    def _pause_for(self, failure: GraderFailing) -> None:
        """Rather than train on what is left of the grades. After a resume the batch is sampled and graded again."""
        message = f"{failure} The job is paused; resume it when the grader works again."
        self._parts.journal.event(message, level="error", data=failure.data)
        with suppress(WrongState):  # paused by its owner meanwhile
            self._parts.pause("grader_failing", message)

    def _evaluate_untrained(self) -> None:
        if self._parts.valid:
            begin = monotonic()
            valid = self._evaluate(0)
            self._commit(0, None, valid, None, begin=begin, training=0.0)

    def _step(self, step: int) -> None:
        parts, plan, begin = self._parts, self._parts.plan, monotonic()
        drawn = (self._ahead and self._ahead.take(step)) or self._drawer.draw(step, self._updates)
        if step > self._committed and self._may_be_paused_behind(step):
            parts.keeper.hold()
        update_begin = monotonic()
        if parts.canary:
            sampled = [(parts.train[r.example].tokens_T, r.completion.tokens_T) for r in drawn.sampled.rollouts]
            parts.canary.before_update(sampled, in_use=self._ahead is not None)
        if self._ahead and step < plan.total_steps:
            self._ahead.begin(step + 1, self._updates)
        update = parts.policy.update(drawn.groups, plan.temperature, self._watch.cuts(step))
        training = monotonic() - update_begin
        trouble = self._ahead.settle() if self._ahead else None
        sync_begin = monotonic()
        parts.engine.sync()
        self._sync_difference = parts.canary.check() if parts.canary else None
        self._updates = step
        training += monotonic() - sync_begin
        hit("after_update")
        if step > self._committed:
            if trouble and self._evaluates(step):
                raise trouble
            valid = self._evaluate(step) if self._evaluates(step) else None
            self._commit(step, drawn, valid, update, begin=begin, training=training)
        self._watch.accept(step, update)
        if trouble:
            raise trouble
        if step < plan.total_steps:
            parts.keeper.save_state_when_due(step)

    def _may_be_paused_behind(self, step: int) -> bool:
        """Whether a pause may come between the step's update and its commit, and the step before it has no checkpoint yet."""
        is_evaluated = bool(self._parts.valid) and self._evaluates(step)
        return is_evaluated and step > 1 and not self._evaluates(step - 1)

    def _evaluates(self, step: int) -> bool:
        return step % self._parts.plan.eval_interval == 0 or step == self._parts.plan.total_steps

    def _evaluate(self, step: int) -> Sampled:
        return self._parts.sampler.run(Wanted("valid", step, self._parts.valid, self._parts.plan.eval_samples, self._updates))

    def _commit(
        self,
        step: int,
        drawn: Drawn | None,
        valid: Sampled | None,
        update: UpdateStats | None,
        *,
        begin: float,
        training: float,
    ) -> None:
        parts, train = self._parts, drawn.sampled if drawn else None
        seconds = monotonic() - begin
        seconds_left = self._seconds_left(step, seconds)
        metrics = step_metrics(
            step=step,
            total_steps=parts.plan.total_steps,
            graders=parts.graders,
            failed_sample=parts.plan.failed_sample,
            train=train.rollouts if train else None,
            valid=valid.rollouts if valid and parts.valid else None,
            update=update,
            timing=Timing(train.seconds if train else 0.0, training, valid.seconds if valid else 0.0, seconds),
            sync_difference=self._sync_difference,
            staleness=step - 1 - drawn.policy_version if drawn else None,
            replacement=drawn.replacement if drawn else None,
            seconds_left=seconds_left,
        )
        if step > 0 and valid is not None:
            parts.keeper.save_checkpoint(
                step, f"{parts.checkpoint_stem}{step}", checkpoint_metrics(metrics), metrics["full_valid_mean_reward"]
            )
        self._warn_of_failures(step, train)
        seconds = monotonic() - begin  # its checkpoint included
        record = StepRecord(
            step=step,
            metrics=metrics,
            message=step_message(metrics),
            trained_tokens=update.tokens if update else 0,
            seconds=seconds,
            seconds_left=seconds_left,
            pause=self._spent(step, seconds),
        )
        hit("before_step_commit")
        wish = parts.journal.commit_step(record)
        hit("after_step_commit")
        self._committed = step
        self._seconds += seconds
        self._durations = [*self._durations, seconds][-_RECENT_STEPS:] if step > 0 else []
        if wish is Wish.LET_GO:
            raise LetGo

    def _seconds_left(self, step: int, seconds: float) -> float | None:
        """For the steps to come, as long as the recent ones; None before the first."""
        if step == 0:
            return None
        recent = [*self._durations, seconds]
        return (self._parts.plan.total_steps - step) * sum(recent) / len(recent)

    def _spent(self, step: int, seconds: float) -> str | None:
        """What pauses a job whose budget of seconds this step uses up; one resumed without a higher one runs to its end."""
        budget = self._parts.plan.budget_seconds
        if budget is None or step == self._parts.plan.total_steps or self._seconds_before >= budget:
            return None
        used_up = self._seconds + seconds >= budget
        return f"The job has used its budget of {budget:g} seconds." if used_up else None

    def _warn_of_failures(self, step: int, train: Sampled | None) -> None:
        """Say it aloud when most of a step's samples have no grade: such a run learns nothing."""
        rollouts = train.rollouts if train else []
        failed = [rollout for rollout in rollouts if rollout.reward is None]
        if rollouts and len(failed) > len(rollouts) / 2:
            result = failed[0].result
            details = result.details if isinstance(result, GradeError) else ""
            self._parts.journal.event(
                f"Step {step}: {len(failed)} of {len(rollouts)} samples have no grade. The first: {details}",
                level="warn",
            )

    def _keep_for_resume(self) -> None:
        """Save the state of the last committed step, and a checkpoint of it, so that a paused job can be used and resumed.

        A job that goes on with the next worker needs no checkpoint.

        An update whose step is not committed, because the pause came during its evaluation, is not saved: its figures would be
        lost. It is replayed from its kept batches, and the checkpoint is made of the weights before it.
        """
        keeper, step = self._parts.keeper, min(self._updates, self._committed)
        if step <= 0:
            return
        is_current = step == self._updates
        if is_current and (self._ahead is None or self._ahead.has(step + 1)):
            keeper.save_state(step)
        if self._parts.leaving():
            return
        metrics = next((m for m in self._parts.history.steps() if m["step"] == step), None)
        if metrics is not None and step not in {checkpoint.step for checkpoint in self._parts.history.checkpoints()}:
            save = keeper.save_checkpoint if is_current else keeper.save_held_checkpoint
            reward = metrics["full_valid_mean_reward"]
            save(step, f"{self._parts.checkpoint_stem}{step}", checkpoint_metrics(metrics), reward)


def checkpoint_metrics(metrics: Json) -> Json:
    """The figures a checkpoint carries, under both spellings that clients read."""
    return {
        "step": metrics["step"],
        "train_mean_reward": metrics["train_mean_reward"],
        "full_valid_mean_reward": metrics["full_valid_mean_reward"],
        "train_reward_mean": metrics["scores"]["train_reward_mean"],
        "valid_reward_mean": metrics["scores"]["valid_reward_mean"],
        "completion_tokens_mean": metrics["completion_tokens_mean"],
    }
