from __future__ import annotations

import pytest

from worker.policy.base import TrainGroup
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel
from worker.policy.trained import TrainedPolicy, UpdateConfig
from worker.rollout.base import Completion, PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine

GROUPS = [PromptGroup((1, 2, 3), (11, 12))]
PARAMS = SamplingParams(8)


@pytest.fixture(params=["lora", "full"])
def policy(request: pytest.FixtureRequest, tiny: PolicyModel) -> TrainedPolicy:
    if request.param == "full":
        return FullPolicy(tiny, UpdateConfig(learning_rate=0.05))
    return LoraPolicy.fresh(tiny, rank=4, alpha=8.0, seed=1, config=UpdateConfig(learning_rate=0.05))


def test_an_engine_that_samples_ahead_keeps_its_weights_until_it_is_synced(policy: TrainedPolicy) -> None:
    ahead, shared = TorchEngine(policy, frozenset(), ahead=True), TorchEngine(policy, frozenset())
    before = ahead.generate(GROUPS, PARAMS)
    assert before == shared.generate(GROUPS, PARAMS)
    update(policy, before[0])
    assert ahead.generate(GROUPS, PARAMS) == before
    assert shared.generate(GROUPS, PARAMS) != before
    ahead.sync()
    assert ahead.generate(GROUPS, PARAMS) == shared.generate(GROUPS, PARAMS)


def update(policy: TrainedPolicy, group: list[Completion]) -> None:
    tokens, logprobs = zip(*((completion.tokens_T, completion.logprobs_T) for completion in group), strict=True)
    policy.update([TrainGroup(GROUPS[0].prompt_T, tokens, logprobs, (1.0, -1.0))], 1.0)
