from __future__ import annotations

import math

import pytest
import torch

from worker.policy.losses import LOSSES, SAMPLER_WEIGHT_CAP, LossInputs, kl_to_reference, token_objective

LOW, HIGH = 0.2, 0.28
LENGTHS = (1, 17, 64, 5, 40, 33, 2, 38)
STEP_TOKENS, STEP_COMPLETIONS, MAX_TOKENS = 900, 12, 64


def inputs(seed: int = 0, *, spread: float = 0.4, drift: float = 0.05, high: float = HIGH) -> LossInputs:
    """`spread` is how far the policy has moved since it sampled, `drift` how far the sampler was from the trainer."""
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(LENGTHS)

    def noise(scale: float) -> torch.Tensor:
        return scale * torch.randn(tokens, generator=generator, dtype=torch.float64)

    logprobs = -torch.rand(tokens, generator=generator, dtype=torch.float64) * 3
    old = logprobs + noise(spread)
    return LossInputs(
        logprobs=logprobs.requires_grad_(True),
        old_logprobs=old.detach(),
        sampler_logprobs=(old + noise(drift)).detach(),
        advantages=torch.randn(len(LENGTHS), generator=generator, dtype=torch.float64),
        lengths=torch.tensor(LENGTHS),
        clip_low=LOW,
        clip_high=high,
        step_tokens=STEP_TOKENS,
        step_completions=STEP_COMPLETIONS,
        max_tokens=MAX_TOKENS,
    )


def part(whole: LossInputs, completions: slice) -> LossInputs:
    """Some completions of a step, with the step's totals."""
    ends = [0, *torch.tensor(LENGTHS).cumsum(0).tolist()]
    first, last, _ = completions.indices(len(LENGTHS))
    rows = slice(ends[first], ends[last])
    return LossInputs(
        logprobs=whole.logprobs[rows],
        old_logprobs=whole.old_logprobs[rows],
        sampler_logprobs=whole.sampler_logprobs[rows],
        advantages=whole.advantages[completions],
        lengths=whole.lengths[completions],
        clip_low=whole.clip_low,
        clip_high=whole.clip_high,
        step_tokens=STEP_TOKENS,
        step_completions=STEP_COMPLETIONS,
        max_tokens=MAX_TOKENS,
    )


def by_hand(name: str, given: LossInputs) -> float:
    """The loss in plain loops over numbers, written from the papers and not from the code."""
    new, old, sampler = (values.tolist() for values in (given.logprobs, given.old_logprobs, given.sampler_logprobs))
    total, begin = 0.0, 0
    for length, advantage in zip(LENGTHS, given.advantages.tolist(), strict=True):
        rows = range(begin, begin + length)
        begin += length
        if name in ("rloo", "gspo"):
            divisor = length if name == "gspo" else 1
            ratio = math.exp(sum(new[t] - old[t] for t in rows) / divisor)
            weight = min(math.exp(sum(old[t] - sampler[t] for t in rows) / divisor), SAMPLER_WEIGHT_CAP)
            bounded = min(max(ratio, 1 - LOW), 1 + given.clip_high)
            total += weight * min(ratio * advantage, bounded * advantage)
            continue
        for t in rows:
            ratio = math.exp(new[t] - old[t])
            weight = min(math.exp(old[t] - sampler[t]), SAMPLER_WEIGHT_CAP)
            if name == "cispo":
                total += weight * min(ratio, 1 + given.clip_high) * advantage * new[t]
            else:
                upper = 1 + (LOW if name == "ppo" else given.clip_high)
                total += weight * min(ratio * advantage, min(max(ratio, 1 - LOW), upper) * advantage)
    divisors = {"dr_grpo": STEP_COMPLETIONS * MAX_TOKENS, "rloo": STEP_COMPLETIONS, "gspo": STEP_COMPLETIONS}
    return -total / divisors.get(name, STEP_TOKENS)


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.4])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_is_what_its_paper_states(name: str, spread: float) -> None:
    given = inputs(spread=spread)
    assert LOSSES[name](given)[0].item() == pytest.approx(by_hand(name, given), abs=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_parts_of_a_step_add_up_to_the_whole(name: str) -> None:
    given = inputs(spread=0.1)
    parts = [LOSSES[name](part(given, rows))[0] for rows in (slice(0, 3), slice(3, None))]
    torch.testing.assert_close(parts[0] + parts[1], LOSSES[name](given)[0])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_descent_raises_what_did_well_and_lowers_what_did_badly(name: str) -> None:
    given = inputs(spread=0.0)
    (gradient,) = torch.autograd.grad(LOSSES[name](given)[0], given.logprobs)
    assert torch.equal(gradient.sign(), -given.token_advantages.sign())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_on_policy_every_loss_is_the_policy_gradient_up_to_its_mean(name: str) -> None:
    given = inputs(spread=0.0, drift=0.0)
    (gradient,) = torch.autograd.grad(LOSSES[name](given)[0], given.logprobs)
    weights = {"dr_grpo": 1 / (STEP_COMPLETIONS * MAX_TOKENS), "rloo": 1 / STEP_COMPLETIONS}
    weight = weights.get(name, 1 / STEP_TOKENS) * torch.ones(len(gradient), dtype=torch.float64)
    if name == "gspo":
        weight = (1 / STEP_COMPLETIONS / given.lengths).repeat_interleave(given.lengths)
    torch.testing.assert_close(gradient, -weight * given.token_advantages)


def test_a_held_token_carries_no_gradient_and_every_other_one_does() -> None:
    given = inputs()
    objective = token_objective(given)
    (gradient,) = torch.autograd.grad(objective.values.sum(), given.logprobs)
    assert 0 < objective.held.sum() < len(objective.held)
    assert torch.equal(gradient == 0, objective.held)


def test_cispo_keeps_the_gradient_of_the_tokens_whose_weight_it_bounds() -> None:
    given = inputs(spread=1.0)
    loss, held = LOSSES["cispo"](given)
    (gradient,) = torch.autograd.grad(loss, given.logprobs)
    assert held.any()
    assert gradient[held].all()


def test_what_the_sampler_found_unlikely_weighs_no_more_than_the_cap() -> None:
    given = inputs(spread=0.0, drift=5.0)
    (gradient,) = torch.autograd.grad(LOSSES["grpo"](given)[0], given.logprobs)
    largest = (gradient / given.token_advantages).abs().max().item() * STEP_TOKENS
    assert largest == pytest.approx(SAMPLER_WEIGHT_CAP)


def test_the_divergence_is_never_negative_and_zero_at_the_reference() -> None:
    given = inputs()
    assert (kl_to_reference(given.logprobs, given.old_logprobs) >= 0).all()
    assert not kl_to_reference(given.logprobs, given.logprobs).any()


def test_the_divergence_is_right_on_average() -> None:
    generator = torch.Generator().manual_seed(2)
    policy, reference = torch.randn(2, 40, generator=generator, dtype=torch.float64).log_softmax(1)
    mean = (policy.exp() * kl_to_reference(policy, reference)).sum()
    torch.testing.assert_close(mean, (policy.exp() * (policy - reference)).sum())
