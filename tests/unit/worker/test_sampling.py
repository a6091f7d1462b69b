from __future__ import annotations

from typing import Any

import pytest

from core.jobs.plan import Hyperparameters, Options, Plan, resolve
from graders.base import FailureKind, GradeError
from worker.drawing import has_spread, spread_share, train_groups
from worker.rollout.base import Completion, StopReason
from worker.sampling import Prompt, Wanted, with_advantages

from .parts import rollout


def plan(**options: Any) -> Plan:
    return resolve(Hyperparameters(), Options(**options), train_rows=8, valid_rows=2)


def prompts(count: int) -> list[Prompt]:
    return [Prompt(i, {}, (i,)) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "samples", "max_rows", "sizes"),
    [(16, 8, 64, [8, 8]), (9, 8, 64, [8, 1]), (3, 8, 8, [1, 1, 1]), (2, 100, 64, [1, 1]), (5, 3, 7, [2, 2, 1]), (0, 4, 64, [])],
)
def test_batches_are_whole_groups_up_to_a_number_of_rows(count: int, samples: int, max_rows: int, sizes: list[int]) -> None:
    batches = list(Wanted("train", 1, prompts(count), samples, policy_version=0).batches(max_rows))
    assert [index for index, _ in batches] == list(range(len(sizes)))
    assert [len(batch) for _, batch in batches] == sizes
    assert [prompt for _, batch in batches for prompt in batch] == prompts(count)


def test_batches_of_replacements_are_numbered_behind_the_steps_own() -> None:
    wanted = Wanted("train", 1, prompts(9), 8, policy_version=0, first_index=2)
    assert [index for index, _ in wanted.batches(64)] == [2, 3]


def test_a_failed_sample_has_no_advantage_and_is_no_zero_for_the_others() -> None:
    members = [rollout(1.0), rollout(GradeError(FailureKind.OTHER, "")), rollout(0.5)]
    assert [member.advantage for member in with_advantages(members, plan(loss="dr_grpo"))] == [0.25, None, -0.25]


def test_a_long_completions_penalty_shows_in_the_advantages_and_not_in_the_rewards() -> None:
    long = Completion((0,) * 10, (0.0,) * 10, StopReason.LENGTH)
    members = [rollout(1.0), rollout(1.0, completion=long)]
    advised = with_advantages(members, plan(loss="dr_grpo", overlong="penalize", max_completion_tokens=10))
    assert [member.advantage for member in advised] == [0.5, -0.5]
    assert [member.reward for member in advised] == [1.0, 1.0]


def test_failed_samples_take_no_part_in_the_update() -> None:
    members = [
        rollout(1.0, advantage=0.5),
        rollout(GradeError(FailureKind.OTHER, ""), advantage=None),
        rollout(0.0, advantage=-0.5),
    ]
    (group,) = train_groups(members, prompts(1), "keep")
    assert group.advantages_G == (0.5, -0.5)
    assert len(group.completions_G) == len(group.logprobs_G) == 2


@pytest.mark.parametrize(("overlong", "kept"), [("keep", 2), ("mask", 1)])
def test_completions_cut_at_their_limit_take_part_where_the_job_keeps_them(overlong: str, kept: int) -> None:
    cut = Completion((1,), (-0.5,), StopReason.LENGTH)
    (group,) = train_groups([rollout(1.0), rollout(0.0, completion=cut)], prompts(1), overlong)
    assert len(group.completions_G) == kept


def test_each_group_is_trained_behind_its_own_prompt() -> None:
    groups = train_groups([rollout(1.0, example=example) for example in (4, 4, 2)], prompts(5), "keep")
    assert [(group.prompt_T, len(group.completions_G)) for group in groups] == [((4,), 2), ((2,), 1)]


def test_groups_have_spread_where_their_update_has_a_gradient() -> None:
    cut = Completion((1,), (-0.5,), StopReason.LENGTH)
    members = [
        rollout(1.0, example=0, advantage=1.0),
        rollout(0.0, example=0, advantage=-1.0),
        rollout(1.0, example=1, advantage=0.0),
        rollout(GradeError(FailureKind.OTHER, ""), example=2, advantage=None),
        rollout(1.0, example=3, advantage=1.0, completion=cut),
    ]
    groups = train_groups(members, prompts(4), "mask")
    assert [has_spread(group) for group in groups] == [True, False, False, False]
    assert spread_share(groups) == 0.25
