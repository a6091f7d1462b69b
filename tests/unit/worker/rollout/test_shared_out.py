from __future__ import annotations

import pytest

from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel
from worker.policy.trained import UpdateConfig
from worker.rollout.base import Completion, PromptGroup, SamplingParams
from worker.rollout.shared_out import SharedOut
from worker.rollout.torch import TorchEngine

GROUPS = [PromptGroup((i, 2, 3), (10 * i, 10 * i + 1, 10 * i + 2)) for i in range(5)]
PARAMS = SamplingParams(16)
STOP_IDS = frozenset(range(0, 300, 20))


@pytest.fixture
def engines(tiny: PolicyModel) -> list[TorchEngine]:
    """With the same weights."""
    policy = LoraPolicy.fresh(tiny, rank=4, alpha=8.0, seed=1, config=UpdateConfig(learning_rate=0.05))
    return [TorchEngine(policy, STOP_IDS) for _ in range(3)]


def tokens(groups: list[list[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[completion.tokens_T for completion in group] for group in groups]


@pytest.mark.parametrize("groups", [GROUPS, GROUPS[:1]])
def test_who_samples_a_group_does_not_matter(engines: list[TorchEngine], groups: list[PromptGroup]) -> None:
    assert tokens(SharedOut(engines).generate(groups, PARAMS)) == tokens(engines[0].generate(groups, PARAMS))


def test_what_ends_one_engine_ends_the_call(engines: list[TorchEngine]) -> None:
    class Enough(Exception):
        pass

    told: list[int] = []

    def finished(group: int, _member: int, _completion: Completion) -> None:
        told.append(group)
        if group == 1:
            raise Enough

    with pytest.raises(Enough):
        SharedOut(engines).generate(GROUPS, PARAMS, finished)
    assert told.count(1) == 1
    assert len(told) < 15
