"""What every `PolicyTrainer` promises, run on each implementation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.models import tiny_model
from worker.policy.base import PolicyTrainer, TrainGroup, UpdateStats
from worker.policy.forward import completion_logprobs, pack
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.losses import LOSSES
from worker.policy.micro_batches import micro_batches
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import TrainedPolicy, UpdateConfig

Make = Callable[..., TrainedPolicy]
TEMPERATURE = 0.9


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(params=["lora", "full"])
def make(request: pytest.FixtureRequest, model: PolicyModel) -> Make:
    def lora(**config) -> TrainedPolicy:
        return LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=UpdateConfig(**{"learning_rate": 0.01, **config}))

    def full(**config) -> TrainedPolicy:
        return FullPolicy(model, UpdateConfig(**{"learning_rate": 0.001, **config}))

    return lora if request.param == "lora" else full


def group(
    policy: TrainedPolicy, prompt: Sequence[int], advantages: Sequence[float], *, length: int = 6, seed: int = 0
) -> TrainGroup:
    """Completions of differing length with the policy's own log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    completions = [tuple(torch.randint(0, 300, (length + g % 3,), generator=generator).tolist()) for g in range(len(advantages))]
    rows = logprobs(policy, prompt, completions)
    return TrainGroup(tuple(prompt), tuple(completions), tuple(map(tuple, rows)), tuple(advantages))


def logprobs(policy: TrainedPolicy, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> list[list[float]]:
    with torch.no_grad():
        flat, _ = completion_logprobs(policy.merged, pack([(prompt, completions)]), TEMPERATURE)
    return [row.tolist() for row in flat.split([len(completion) for completion in completions])]


def groups(policy: TrainedPolicy) -> list[TrainGroup]:
    return [
        group(policy, (1, 2, 3), (1.0, -1.0, 0.5, -0.5), seed=1),
        group(policy, tuple(range(50)), (-1.5, 0.5, 1.0, 0.0), seed=2),
        group(policy, (7,), (1.0, -1.0), length=20, seed=3),
    ]


def saved(policy: PolicyTrainer, directory: Path) -> dict[str, torch.Tensor]:
    policy.save_checkpoint(directory)
    (tensors,) = directory.glob("*.safetensors")
    return load_file(tensors)


def flat(policy: TrainedPolicy) -> torch.Tensor:
    """All parameters."""
    return torch.cat([parameter.detach().flatten() for parameter in policy._parameters])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_updates_raise_what_did_well_and_lower_what_did_badly(make: Make, loss: str) -> None:
    policy = make(loss=loss)
    given = group(policy, (4, 5, 6), (1.0, -1.0))
    for _ in range(3):
        policy.update([given], TEMPERATURE)
    after = logprobs(policy, given.prompt_T, given.completions_G)
    assert sum(after[0]) > sum(given.logprobs_G[0])
    assert sum(after[1]) < sum(given.logprobs_G[1])


def test_the_same_updates_give_the_same_bits(make: Make, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        policy = make()
        for _ in range(3):
            policy.update(groups(policy), TEMPERATURE)
        results.append(saved(policy, tmp_path / name))
    assert same(*results)


def test_a_state_goes_on_bit_by_bit(make: Make, tmp_path: Path) -> None:
    policy = make()
    given = groups(policy)
    for _ in range(2):
        policy.update(given, TEMPERATURE)
    policy.save_state(tmp_path / "state")
    stats = [policy.update(given, TEMPERATURE) for _ in range(3)]

    loaded = make()
    loaded.update(given[:1], TEMPERATURE)  # a policy that has gone elsewhere forgets it
    loaded.load_state(tmp_path / "state")
    assert [loaded.update(given, TEMPERATURE) for _ in range(3)] == stats
    assert same(saved(loaded, tmp_path / "loaded"), saved(policy, tmp_path / "policy"))


def test_a_state_before_the_first_update_goes_on_bit_by_bit(make: Make, tmp_path: Path) -> None:
    policy = make()
    policy.save_state(tmp_path / "state")
    loaded = make()
    loaded.update(groups(loaded), TEMPERATURE)
    loaded.load_state(tmp_path / "state")
    assert policy.update(groups(policy), TEMPERATURE) == loaded.update(groups(loaded), TEMPERATURE)


def test_a_state_is_safetensors_and_json(make: Make, tmp_path: Path) -> None:
    policy = make()
    policy.update(groups(policy), TEMPERATURE)
    policy.save_state(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


@pytest.mark.parametrize("advantages", [(), (0.0, 0.0)])
def test_groups_without_spread_leave_the_weights_alone(make: Make, tmp_path: Path, advantages: tuple[float, ...]) -> None:
    policy = make()
    policy.update(groups(policy), TEMPERATURE)
    before = saved(policy, tmp_path / "before")
    stats = policy.update([group(policy, (1, 2), advantages)], TEMPERATURE)
    assert stats.skipped
    assert same(before, saved(policy, tmp_path / "after"))


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(make: Make, tmp_path: Path) -> None:
    policy = make()
    policy.update(groups(policy), TEMPERATURE)
    before = saved(policy, tmp_path / "before")
    bad = group(policy, (1, 2), (math.inf, -1.0))
    assert policy.update([bad], TEMPERATURE).skipped
    assert same(before, saved(policy, tmp_path / "after"))


def test_a_policy_goes_on_after_a_gradient_that_was_not_finite(make: Make) -> None:
    policy, other = make(), make()
    policy.update([group(policy, (1, 2), (math.inf, -1.0))], TEMPERATURE)
    assert policy.update(groups(policy), TEMPERATURE) == other.update(groups(other), TEMPERATURE)


@pytest.mark.parametrize("kl_coef", [0.0, 0.1])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_gradient_does_not_depend_on_how_a_step_is_cut(
    make: Make, monkeypatch: pytest.MonkeyPatch, loss: str, kl_coef: float
) -> None:
    figures: list[UpdateStats] = []
    ends = []
    for tokens in (10_000, 40, 1):
        monkeypatch.setattr("worker.policy.trained.MICRO_BATCH_TOKENS", tokens)
        # Plain descent: Adam's first step would show the gradient's signs alone.
        policy = make(loss=loss, kl_coef=kl_coef)
        policy._optimizer = torch.optim.SGD(policy._parameters, lr=1.0)
        figures += [policy.update(groups(policy), TEMPERATURE) for _ in range(2)]
        ends.append(flat(policy))
    moved = (ends[0] - flat(make())).norm()
    for end in ends[1:]:
        assert (end - ends[0]).norm() <= 1e-5 * moved
    for one, other in zip(figures[:2] * 2, figures[2:], strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4, abs=1e-6)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
        assert (one.tokens, one.skipped) == (other.tokens, other.skipped)


@pytest.mark.parametrize("tokens", [1, 20, 60, 1000])
def test_micro_batches_hold_every_completion_once_and_in_order(make: Make, tokens: int) -> None:
    whole = groups(make())
    parts = [piece for part in micro_batches(whole, tokens) for piece in part]
    for given in whole:
        pieces = [piece for piece in parts if piece.prompt_T == given.prompt_T]
        assert sum((piece.completions_G for piece in pieces), ()) == given.completions_G
        assert sum((piece.logprobs_G for piece in pieces), ()) == given.logprobs_G
        assert sum((piece.advantages_G for piece in pieces), ()) == given.advantages_G


def test_figures_of_an_update_on_the_sampling_policy(make: Make) -> None:
    policy = make()
    stats = policy.update(groups(policy), TEMPERATURE)
    assert stats.tokens == sum(len(completion) for given in groups(make()) for completion in given.completions_G)
    assert stats.ratio_max < 1e-4
    assert (stats.clip_fraction, stats.kl, stats.skipped) == (0.0, 0.0, False)
    assert stats.grad_norm > 0
    assert 0 < stats.entropy < math.log(300)


def test_the_divergence_grows_from_zero_as_the_policy_leaves_the_reference(make: Make) -> None:
    policy = make(kl_coef=0.01)
    first, second = (policy.update(groups(policy), TEMPERATURE) for _ in range(2))
    assert abs(first.kl) < 1e-6
    assert second.kl > 1e-5
    assert second.loss == pytest.approx(second.policy_loss + 0.01 * second.kl)
