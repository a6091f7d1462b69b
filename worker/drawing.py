"""What a step trains on: one group for each of its prompts, groups without spread replaced within the job's budget.

A group whose rewards are all the same moves nothing. With `dynamic_sampling` the step samples as many other prompts in its place,
and again for those that fall flat too (Yu et al. 2025, arXiv:2503.14476, section 3.2; one group for one, no whole batches).
Everything is a function of the job's seed, of its plan and of batches that are kept: sampled again after a crash it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from core.jobs.plan import Plan
from worker.policy.base import TrainGroup
from worker.rollout.base import StopReason
from worker.rollouts import Rollout
from worker.sampling import BatchSampler, Prompt, Sampled, Wanted
from worker.seeds import batch_of_step, replacement_rows


@dataclass(frozen=True)
class Replacement:
    """What replacing groups without spread came to in one step."""

    groups_with_spread_before: float
    """Share of the step's own groups."""
    groups_with_spread_after: float
    """Share of the groups that the update got."""
    extra_groups: int
    extra_batches: int


@dataclass(frozen=True)
class Drawn:
    """A step's groups for the update, and all that was sampled for them, what was replaced included."""

    groups: list[TrainGroup]
    sampled: Sampled
    policy_version: int
    """Updates in the weights that sampled."""
    replacement: Replacement | None
    """None where the job does not replace groups."""


class StepDrawer:
    """Draws what steps train on."""

    def __init__(self, plan: Plan, job_seed: int, prompts: Sequence[Prompt], sampler: BatchSampler) -> None:
        self._plan, self._job_seed, self._prompts, self._sampler = plan, job_seed, prompts, sampler

    def draw(self, step: int, policy_version: int) -> Drawn:
        """The step's groups; kept batches are read back. Raises what `BatchSampler.run` raises."""
        plan = self._plan
        rows = batch_of_step(self._job_seed, step, plan.train_rows, plan.batch_size)
        others = iter(replacement_rows(self._job_seed, step, plan.train_rows, rows)) if plan.replacement_rounds else iter(())
        wanted = Wanted("train", step, self._prompts_of(rows), plan.samples_per_prompt, policy_version)
        first = sampled = self._sampler.run(wanted)
        groups = self._groups(first)
        before = spread_share(groups)
        for _ in range(plan.replacement_rounds):
            flat = [place for place, group in enumerate(groups) if not has_spread(group)]
            fresh_rows = list(islice(others, len(flat)))
            if not fresh_rows:  # nothing to replace, or nothing left to replace it with
                break
            extra = replace(wanted, prompts=self._prompts_of(fresh_rows), first_index=len(sampled.batches))
            fresh = self._sampler.run(extra)
            sampled = sampled + fresh
            for place, group in zip(flat, filter(has_spread, self._groups(fresh)), strict=False):
                groups[place] = group
        return Drawn(groups, sampled, policy_version, self._replacement(before, groups, first, sampled))

    def _prompts_of(self, rows: Sequence[int]) -> Sequence[Prompt]:
        return [self._prompts[row] for row in rows]

    def _groups(self, sampled: Sampled) -> list[TrainGroup]:
        return train_groups(sampled.rollouts, self._prompts, self._plan.overlong)

    def _replacement(self, before: float, groups: list[TrainGroup], first: Sampled, sampled: Sampled) -> Replacement | None:
        if not self._plan.replacement_rounds:
            return None
        extra = sampled.batches[len(first.batches) :]
        extra_groups = sum(len(list(batch.groups())) for batch in extra)
        return Replacement(before, spread_share(groups), extra_groups, len(extra))


def has_spread(group: TrainGroup) -> bool:
    """Whether the group carries a gradient."""
    return any(group.advantages_G)


def spread_share(groups: Sequence[TrainGroup]) -> float:
    """The share of groups that carry a gradient."""
    return sum(map(has_spread, groups)) / max(len(groups), 1)


def train_groups(rollouts: Sequence[Rollout], prompts: Sequence[Prompt], overlong: str) -> list[TrainGroup]:
    """The samples that take part in the update: those with a grade, and with `mask` those that ended by themselves."""
    groups = []
    for example, members in groupby(rollouts, key=lambda rollout: rollout.example):
        kept = [
            member
            for member in members
            if member.advantage is not None and not (overlong == "mask" and member.completion.stop_reason is StopReason.LENGTH)
        ]
        groups.append(
            TrainGroup(
                prompts[example].tokens_T,
                tuple(member.completion.tokens_T for member in kept),
                tuple(member.completion.logprobs_T for member in kept),
                tuple(member.advantage for member in kept if member.advantage is not None),
            )
        )
    return groups
