from __future__ import annotations

import math

import pytest
import torch

from worker.policy.losses import LOSSES, LossInputs, clipped_objective, kl_to_reference

LOW, HIGH = 0.2, 0.28


def inputs(seed: int = 0, tokens: int = 200, **changes) -> LossInputs:
    generator = torch.Generator().manual_seed(seed)
    logprobs = -torch.rand(tokens, generator=generator, dtype=torch.float64) * 3
    values = {
        "logprobs": logprobs.requires_grad_(True),
        "old_logprobs": (logprobs + 0.4 * torch.randn(tokens, generator=generator, dtype=torch.float64)).detach(),
        "advantages": torch.randn(tokens, generator=generator, dtype=torch.float64),
        "clip_low": LOW,
        "clip_high": HIGH,
        "step_tokens": 900,
        "step_completions": 12,
        "max_tokens": 64,
    }
    return LossInputs(**{**values, **changes})


def objective_by_hand(given: LossInputs) -> list[float]:
    values = []
    rows = zip(given.logprobs.tolist(), given.old_logprobs.tolist(), given.advantages.tolist(), strict=True)
    for logprob, old, advantage in rows:
        ratio = math.exp(logprob - old)
        values.append(min(ratio * advantage, min(max(ratio, 1 - LOW), 1 + HIGH) * advantage))
    return values


@pytest.mark.parametrize(("name", "divisor"), [("grpo", 900), ("dr_grpo", 12 * 64)])
def test_a_loss_is_the_sum_that_its_docstring_states(name: str, divisor: int) -> None:
    given = inputs()
    assert LOSSES[name](given).item() == pytest.approx(-math.fsum(objective_by_hand(given)) / divisor, abs=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_parts_of_a_step_add_up_to_the_whole(name: str) -> None:
    given = inputs()
    parts = [
        inputs(logprobs=given.logprobs[rows], old_logprobs=given.old_logprobs[rows], advantages=given.advantages[rows])
        for rows in (slice(0, 30), slice(30, None))
    ]
    torch.testing.assert_close(LOSSES[name](parts[0]) + LOSSES[name](parts[1]), LOSSES[name](given))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_descent_raises_what_did_well_and_lowers_what_did_badly(name: str) -> None:
    given = inputs()
    on_policy = inputs(old_logprobs=given.logprobs.detach(), logprobs=given.logprobs)
    (gradient,) = torch.autograd.grad(LOSSES[name](on_policy), given.logprobs)
    assert torch.equal(gradient.sign(), -on_policy.advantages.sign())


def test_a_held_token_carries_no_gradient_and_every_other_one_does() -> None:
    given = inputs()
    objective, held = clipped_objective(given)
    (gradient,) = torch.autograd.grad(objective.sum(), given.logprobs)
    assert 0 < held.sum() < len(held)
    assert torch.equal(gradient == 0, held)


def test_the_divergence_is_never_negative_and_zero_at_the_reference() -> None:
    given = inputs()
    assert (kl_to_reference(given.logprobs, given.old_logprobs) >= 0).all()
    assert not kl_to_reference(given.logprobs, given.logprobs).any()


def test_the_divergence_is_right_on_average() -> None:
    generator = torch.Generator().manual_seed(2)
    policy, reference = torch.randn(2, 40, generator=generator, dtype=torch.float64).log_softmax(1)
    mean = (policy.exp() * kl_to_reference(policy, reference)).sum()
    torch.testing.assert_close(mean, (policy.exp() * (policy - reference)).sum())
