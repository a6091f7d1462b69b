"""What every `RolloutEngine` promises, run on each implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.response_format import ResponseFormat
from tests.models import VOCABULARY, byte_tokenizer, tiny_model
from worker.policy.base import TrainGroup
from worker.policy.forward import completion_logprobs, pack
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import UpdateConfig
from worker.rollout.base import Completion, PromptGroup, RolloutEngine, SamplingParams, StopReason
from worker.rollout.guide import Guides
from worker.rollout.shared_out import SharedOut
from worker.rollout.torch import TorchEngine

END_OF_TURN = 258
"""What the tokenizer ends with: a format leaves no other end where an engine reads the tokenizer itself."""
STOP_IDS = frozenset([*range(0, 300, 20), END_OF_TURN])
GROUPS = [PromptGroup((1, 2, 3), (11, 12, 13)), PromptGroup(tuple(range(40)), (14, 15))]
PARAMS = SamplingParams(24, temperature=0.8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    directory: Path = tiny_model(tmp_path_factory.mktemp("tiny"))
    return load_model(directory)


@pytest.fixture
def policy(model: PolicyModel) -> LoraPolicy:
    return LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=UpdateConfig(learning_rate=0.02))


@pytest.fixture(params=["torch", "shared_out"])
def engine(request: pytest.FixtureRequest, policy: LoraPolicy) -> RolloutEngine:
    engines = [TorchEngine(policy, STOP_IDS, lambda: Guides(byte_tokenizer(), VOCABULARY, STOP_IDS)) for _ in range(2)]
    return engines[0] if request.param == "torch" else SharedOut(engines)


def flat(groups: list[list[Completion]]) -> list[Completion]:
    return [completion for group in groups for completion in group]


def test_every_seed_has_its_completion(engine: RolloutEngine) -> None:
    assert [len(group) for group in engine.generate(GROUPS, PARAMS)] == [3, 2]


def test_a_completion_ends_with_its_stop_token_or_at_its_limit(engine: RolloutEngine) -> None:
    completions = flat(engine.generate(GROUPS * 8, PARAMS))
    assert {completion.stop_reason for completion in completions} == set(StopReason)
    for completion in completions:
        *before, last = completion.tokens_T
        assert not STOP_IDS & set(before)
        assert (last in STOP_IDS) == (completion.stop_reason is StopReason.STOP)
        assert len(completion.tokens_T) == PARAMS.max_tokens or completion.stop_reason is StopReason.STOP


def test_every_token_has_the_log_probability_that_the_trainer_gives_it(engine: RolloutEngine, policy: LoraPolicy) -> None:
    groups = engine.generate(GROUPS, PARAMS)
    packed = pack([(g.prompt_T, [c.tokens_T for c in completions]) for g, completions in zip(GROUPS, groups, strict=True)])
    with torch.no_grad():
        expected, _ = completion_logprobs(policy.merged, packed, PARAMS.temperature)
    sampled = torch.tensor([logprob for completion in flat(groups) for logprob in completion.logprobs_T])
    torch.testing.assert_close(sampled, expected, rtol=0, atol=1e-4)


def test_every_completion_is_told_of_once_when_it_has_ended(engine: RolloutEngine) -> None:
    told: dict[tuple[int, int], Completion] = {}

    def finished(group: int, member: int, completion: Completion) -> None:
        assert (group, member) not in told
        told[group, member] = completion

    groups = engine.generate(GROUPS, PARAMS, finished)
    assert told == {(g, m): completion for g, group in enumerate(groups) for m, completion in enumerate(group)}


def test_who_listens_may_end_the_call(engine: RolloutEngine) -> None:
    def finished(_group: int, _member: int, _completion: Completion) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        engine.generate(GROUPS, PARAMS, finished)


def test_the_same_batch_gives_the_same_bits(engine: RolloutEngine) -> None:
    assert engine.generate(GROUPS, PARAMS) == engine.generate(GROUPS, PARAMS)


def test_members_of_a_group_differ_by_their_seeds(engine: RolloutEngine) -> None:
    (group,) = engine.generate([PromptGroup((1, 2, 3), (1, 2, 1))], PARAMS)
    assert group[0].tokens_T == group[2].tokens_T
    assert group[0].tokens_T != group[1].tokens_T


def test_at_temperature_zero_seeds_do_not_matter(engine: RolloutEngine) -> None:
    (group,) = engine.generate([PromptGroup((1, 2, 3), (1, 2))], SamplingParams(24, temperature=0))
    assert group[0].tokens_T == group[1].tokens_T


def test_after_a_sync_the_updated_policy_samples(engine: RolloutEngine, policy: LoraPolicy) -> None:
    (before, other), _ = (group[:2] for group in engine.generate(GROUPS, PARAMS))
    given = TrainGroup(GROUPS[0].prompt_T, (before.tokens_T, other.tokens_T), (before.logprobs_T, other.logprobs_T), (1.0, -1.0))
    for _ in range(4):
        policy.update([given], PARAMS.temperature)
    engine.sync()
    (greedy,) = engine.generate([PromptGroup(GROUPS[0].prompt_T, (1,))], SamplingParams(1, temperature=0))
    logits, _ = completion_logprobs(policy.merged, pack([(GROUPS[0].prompt_T, [(t,) for t in range(300)])]), 1.0)
    assert greedy[0].tokens_T[0] == int(logits.argmax())
    assert flat(engine.generate(GROUPS, PARAMS)) != [before, other]


def test_a_format_is_followed_and_leaves_log_probabilities_as_the_trainer_computes_them(
    engine: RolloutEngine, policy: LoraPolicy
) -> None:
    params = SamplingParams(24, temperature=0.8, response_format=ResponseFormat('{"enum": ["yes", "no"]}'))
    groups = engine.generate(GROUPS, params)
    assert {completion.stop_reason for completion in flat(groups)} == {StopReason.STOP}
    given = [
        TrainGroup(
            group.prompt_T,
            tuple(completion.tokens_T for completion in completions),
            tuple(completion.logprobs_T for completion in completions),
            tuple(float(2 * (i % 2) - 1) for i in range(len(completions))),
        )
        for group, completions in zip(GROUPS, groups, strict=True)
    ]
    stats = policy.update(given, params.temperature)
    assert stats.ratio_max < 1e-4
