"""The vLLM engine keeps every promise of `RolloutEngine`, samples with the policy's weights, and outlives its processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.test_rollout_engine import *  # noqa: F403  - the promises of every engine
from tests.contract.test_rollout_engine import GROUPS, PARAMS, flat
from worker.canary import LIMITS, Canary, OutOfSync
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import UpdateConfig
from worker.rollout.base import Completion, PromptGroup, RolloutEngine, SamplingParams
from worker.rollout.vllm import VllmEngine
from worker.rollout.vllm_process import VllmOptions

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(580)]

RANK = 4


@pytest.fixture(scope="session")
def model(directory: Path) -> PolicyModel:
    return load_model(directory)


def fresh(model: PolicyModel, seed: int) -> LoraPolicy:
    return LoraPolicy.fresh(model, rank=RANK, alpha=8.0, seed=seed, config=UpdateConfig(learning_rate=0.02))


def trained(model: PolicyModel, seed: int) -> LoraPolicy:
    """A policy whose adapter is far from nothing."""
    policy = fresh(model, seed)
    with torch.no_grad():  # noqa: F405
        generator = torch.Generator().manual_seed(seed)  # noqa: F405
        for parameter in policy.adapter.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))  # noqa: F405
    policy.adapter.merge(policy.model.weights, policy.merged)
    return policy


@pytest.fixture
def policy(model: PolicyModel) -> LoraPolicy:
    return fresh(model, 1)


@pytest.fixture(params=["lora", "merged"])
def engine(
    request: pytest.FixtureRequest,
    policy: LoraPolicy,
    directory: Path,
    source: Any,
    restarts: list[str],
    engines: dict[str, VllmEngine],
) -> VllmEngine:
    source.policy = policy
    if request.param not in engines:
        options = VllmOptions(
            512,
            sync=request.param,
            max_lora_rank=RANK,
            eager=True,
            max_num_seqs=64,
            patience_seconds=10,
            ahead=request.param == "lora",
        )
        engines[request.param] = VllmEngine(directory, source, STOP_IDS, options, restarts.append)  # noqa: F405
    else:
        engines[request.param].sync()
    return engines[request.param]


def test_the_same_batch_gives_the_same_bits(engine: RolloutEngine) -> None:
    """Tokens here: in which batches requests meet, and with them the last bits, vLLM leaves open."""
    once, again = ([completion.tokens_T for completion in flat(engine.generate(GROUPS, PARAMS))] for _ in range(2))
    assert once == again


def test_prompts_beyond_what_vllm_computes_at_once(engine: VllmEngine, policy: LoraPolicy, restarts: list[str]) -> None:
    before = list(restarts)
    groups = [PromptGroup(tuple((i * 7 + j * (i + 1)) % 50 for j in range(450)), (i, 100 + i)) for i in range(24)]
    completions = engine.generate(groups, SamplingParams(4))
    sequences = [(g.prompt_T, c.tokens_T) for g, members in zip(groups, completions, strict=True) for c in members]
    sampled = [list(completion.logprobs_T) for completion in flat(completions)]
    for ours, theirs in zip(sampled, policy.score(sequences, 1.0), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
    assert restarts == before


def test_log_probabilities_are_those_before_top_p(engine: VllmEngine, policy: LoraPolicy) -> None:
    groups = engine.generate(GROUPS, SamplingParams(24, temperature=1.3, top_p=0.5))
    sequences = [(g.prompt_T, c.tokens_T) for g, completions in zip(GROUPS, groups, strict=True) for c in completions]
    expected = [logprob for row in policy.score(sequences, 1.3) for logprob in row]
    sampled = [logprob for completion in flat(groups) for logprob in completion.logprobs_T]
    assert sampled == pytest.approx(expected, abs=1e-4)


def test_tokens_come_as_often_as_the_policy_says(engine: VllmEngine, policy: LoraPolicy) -> None:
    (group,) = engine.generate([PromptGroup((1, 2, 3), tuple(range(2000)))], SamplingParams(1, temperature=0.7))
    drawn = [completion.tokens_T[0] for completion in group]
    for token in sorted(set(drawn), key=drawn.count)[-5:]:
        ((logprob,),) = policy.score([((1, 2, 3), (token,))], 0.7)
        expected = float(torch.tensor(logprob).exp())  # noqa: F405
        # Five standard deviations of 2000 draws.
        assert drawn.count(token) / 2000 == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 2000) ** 0.5)


def test_an_adapter_of_other_weights_is_taken_over(engine: VllmEngine, model: PolicyModel, source: Any) -> None:
    sequences = [((1, 2, 3), (4, 5, 6)), (tuple(range(40)), (7, 8))]
    for seed in (2, 3):
        source.policy = trained(model, seed)
        engine.sync()
        for ours, theirs in zip(engine.score(sequences, 1.0), source.policy.score(sequences, 1.0), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("engine", ["merged"], indirect=True)
def test_all_weights_of_a_full_fine_tuning_are_taken_over(engine: VllmEngine, model: PolicyModel, source: Any) -> None:
    sequence = ((1, 2, 3), (4, 5, 6))
    for factor in (1.1, 1.0):  # the engine has the base model's embedding again afterwards
        source.policy = FullPolicy(model, UpdateConfig(learning_rate=0.02))
        with torch.no_grad():  # noqa: F405
            for tensor in source.policy.merged.tensors():
                tensor.mul_(factor)
        engine.sync()
        assert engine.score([sequence], 1.0)[0] == pytest.approx(source.policy.score([sequence], 1.0)[0], abs=1e-3)


def test_a_sequence_that_fills_the_context_is_scored(engine: VllmEngine, policy: LoraPolicy) -> None:
    sequence = (tuple(range(250)), tuple(i % 250 for i in range(262)))
    assert engine.score([sequence], 1.0)[0] == pytest.approx(policy.score([sequence], 1.0)[0], abs=1e-3)


def test_a_wrong_adapter_is_caught(engine: VllmEngine, model: PolicyModel, source: Any) -> None:
    ours, wrong = trained(model, 2), trained(model, 3)
    source.policy = ours
    engine.sync()
    canary = Canary([engine], ours, 1.0, LIMITS["float32"])
    canary.before_update([((1, 2, 3), (4, 5, 6)), (tuple(range(40)), (7, 8))])
    source.policy = wrong
    engine.sync()
    with pytest.raises(OutOfSync):
        canary.check()


@pytest.mark.parametrize("engine", ["merged"], indirect=True)
def test_an_engine_that_was_killed_goes_on_with_what_was_not_finished(engine: VllmEngine, restarts: list[str]) -> None:
    before = [c.tokens_T for c in flat(engine.generate(GROUPS, PARAMS))]
    restarts.clear()
    told: list[tuple[int, int]] = []

    def finished(group: int, member: int, _completion: Completion) -> None:
        if not told:
            for pid in engine.pids:
                os.kill(pid, signal.SIGKILL)
        told.append((group, member))

    after = engine.generate(GROUPS, PARAMS, finished)
    assert [c.tokens_T for c in flat(after)] == before
    assert sorted(told) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert len(restarts) == 1


@pytest.mark.parametrize("engine", ["lora"], indirect=True)
def test_an_engine_that_hangs_is_replaced_and_has_the_adapter_of_its_last_sync_again(
    engine: VllmEngine, model: PolicyModel, source: Any, restarts: list[str]
) -> None:
    source.policy = synced = trained(model, 2)
    engine.sync()
    source.policy = trained(model, 3)  # as an update does, under which it samples ahead
    restarts.clear()
    stopped = engine.pids
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    sequences = [((1, 2, 3), (4, 5, 6))]
    assert engine.score(sequences, 1.0)[0] == pytest.approx(synced.score(sequences, 1.0)[0], abs=1e-3)
    assert len(restarts) == 1
    assert not [pid for pid in stopped if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("engine", ["lora"], indirect=True)
def test_what_was_under_way_is_aborted_with_its_call(engine: VllmEngine) -> None:
    class Enough(Exception):
        pass

    def finished(_group: int, _member: int, _completion: Completion) -> None:
        raise Enough

    with pytest.raises(Enough):
        engine.generate([PromptGroup((1, 2, 3), tuple(range(200)))], SamplingParams(400), finished)
    assert engine.generate(GROUPS, PARAMS)
    assert engine._process.engine.get_num_unfinished_requests() == 0
