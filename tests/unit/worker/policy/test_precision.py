"""Ways to compute the same update: in bfloat16, and with layers computed twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from worker.policy.base import TrainGroup
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model
from worker.policy.trained import TrainedPolicy, UpdateConfig
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine

KINDS = ("lora", "full")
GROUPS = [
    TrainGroup((1, 2, 3), ((4, 5, 6, 7), (8, 9), (10,) * 9), ((-5.0,) * 4, (-6.0,) * 2, (-4.0,) * 9), (1.0, -1.0, 0.5)),
    TrainGroup(tuple(range(30)), ((11,) * 12, (12, 13)), ((-3.0,) * 12, (-7.0,) * 2), (-1.5, 0.5)),
]
BF16_STEP = 2**-8


def policy(kind: str, directory: Path, dtype: torch.dtype = torch.float32, **config: object) -> TrainedPolicy:
    model = load_model(directory, "cpu", dtype)
    made = UpdateConfig(**{"learning_rate": 1e-3, "kl_coef": 0.1, **config})
    return LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=made) if kind == "lora" else FullPolicy(model, made)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_in_bfloat16_is_close_to_one_in_float32(kind: str, tiny_directory: Path) -> None:
    precise, rounded = (policy(kind, tiny_directory, dtype, learning_rate=1e-4) for dtype in (torch.float32, torch.bfloat16))
    expected, actual = precise.update(GROUPS, 1.0), rounded.update(GROUPS, 1.0)
    assert actual.loss == pytest.approx(expected.loss, abs=0.01)
    assert actual.entropy == pytest.approx(expected.entropy, rel=2 * BF16_STEP)
    assert actual.grad_norm == pytest.approx(expected.grad_norm, rel=0.05)
    # The first updates go by the signs of gradients, some of which rounding turns.
    assert rounded.update(GROUPS, 1.0).loss == pytest.approx(precise.update(GROUPS, 1.0).loss, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trained_stays_in_float32(kind: str, tiny_directory: Path) -> None:
    rounded = policy(kind, tiny_directory, torch.bfloat16)
    rounded.update(GROUPS, 1.0)
    assert {parameter.dtype for parameter in rounded._parameters} == {torch.float32}
    assert {tensor.dtype for tensor in rounded.merged.tensors()} == {torch.bfloat16}


@pytest.mark.parametrize("kind", KINDS)
def test_steps_too_small_for_bfloat16_add_up(kind: str, tiny_directory: Path) -> None:
    rounded = policy(kind, tiny_directory, torch.bfloat16, learning_rate=1e-6)
    before = [parameter.detach().clone() for parameter in rounded._parameters]
    rounded.update(GROUPS, 1.0)
    moved = [not torch.equal(parameter, was) for parameter, was in zip(rounded._parameters, before, strict=True)]
    assert sum(moved) >= len(moved) / 2  # of a fresh adapter B moves first


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_in_bfloat16_goes_on_bit_by_bit(kind: str, tiny_directory: Path, tmp_path: Path) -> None:
    first, second = (policy(kind, tiny_directory, torch.bfloat16) for _ in range(2))
    first.update(GROUPS, 1.0)
    first.save_state(tmp_path)
    second.load_state(tmp_path)
    assert first.update(GROUPS, 1.0) == second.update(GROUPS, 1.0)
    assert all(map(torch.equal, first.merged.tensors(), second.merged.tensors()))


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_in_bfloat16_gives_the_trainers_log_probabilities(kind: str, tiny_directory: Path) -> None:
    rounded = policy(kind, tiny_directory, torch.bfloat16)
    rounded.update(GROUPS, 1.0)
    (sampled,) = TorchEngine(rounded, {0}).generate([PromptGroup((1, 2, 3), (1, 2, 3, 4))], SamplingParams(12))
    scores = rounded.score([((1, 2, 3), completion.tokens_T) for completion in sampled], 1.0)
    for score, completion in zip(scores, sampled, strict=True):
        assert score == pytest.approx(list(completion.logprobs_T), abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_layers_computed_twice_give_the_same_bits(kind: str, dtype: torch.dtype, tiny_directory: Path) -> None:
    plain, twice = (policy(kind, tiny_directory, dtype, recompute=recompute) for recompute in (False, True))
    for _ in range(2):
        assert plain.update(GROUPS, 1.0) == twice.update(GROUPS, 1.0)
    assert all(map(torch.equal, plain._parameters, twice._parameters))
