from __future__ import annotations

import math

import pytest
import torch

from worker.rollout.draw import RowUniforms, draw

DRAWS = 20_000


def drawn(logits_V: torch.Tensor, *, temperature: float = 1.0, top_p: float = 1.0, draws: int = DRAWS) -> torch.Tensor:
    """How often each token is drawn."""
    uniforms = torch.rand(draws, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    tokens, _ = draw(logits_V.repeat(draws, 1), uniforms, temperature, top_p)
    return torch.bincount(tokens, minlength=len(logits_V))


def chi_square(counts_V: torch.Tensor, probabilities_V: torch.Tensor) -> float:
    """The statistic's distance from its mean, in its standard deviations."""
    expected = probabilities_V.double() * counts_V.sum()
    statistic = ((counts_V - expected) ** 2 / expected).sum()
    freedom = len(counts_V) - 1
    return float(statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize("vocabulary", [2, 255, 256, 257, 600])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_distributed_as_softmax(vocabulary: int, temperature: float) -> None:
    logits = 0.5 * torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    assert chi_square(drawn(logits, temperature=temperature), (logits / temperature).softmax(0)) < 5


def test_log_probabilities_are_those_of_the_tempered_softmax_before_top_p() -> None:
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(1))
    tokens, logprobs = draw(logits.clone(), torch.linspace(0, 0.999, 50, dtype=torch.float64), 0.7, 0.5)
    expected = (logits / 0.7).log_softmax(1).gather(1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected, rtol=1e-5, atol=1e-5)


def test_temperature_zero_takes_the_likeliest_token_with_its_log_probability_at_one() -> None:
    logits = torch.randn(20, 300, generator=torch.Generator().manual_seed(2))
    tokens, logprobs = draw(logits.clone(), torch.rand(20, dtype=torch.float64), 0, 1.0)
    best = logits.log_softmax(1).max(1)
    assert torch.equal(tokens, best.indices)
    torch.testing.assert_close(logprobs, best.values)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    probabilities = torch.tensor([0.4, 0.05, 0.3, 0.15, 0.1])
    counts = drawn(probabilities.log(), top_p=0.75)
    assert counts[[1, 4]].tolist() == [0, 0]
    assert chi_square(counts[[0, 2, 3]], torch.tensor([0.4, 0.3, 0.15]) / 0.85) < 5


def test_a_tiny_top_p_takes_the_likeliest_token() -> None:
    counts = drawn(torch.randn(300, generator=torch.Generator().manual_seed(3)), top_p=1e-6, draws=1000)
    assert sorted(counts.tolist())[-1] == 1000


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("alone", [0, 255, 256, 299])
def test_tokens_without_mass_are_never_drawn(uniform: float, alone: int) -> None:
    logits = torch.full((1, 300), float("-inf"))
    logits[0, alone] = 1.0
    tokens, logprobs = draw(logits, torch.tensor([uniform], dtype=torch.float64), 1.0, 1.0)
    assert (tokens.tolist(), logprobs.tolist()) == ([alone], [0.0])


@pytest.mark.parametrize("uniform", [0.0, 0.5 - 2**-54, 0.5, 1 - 2**-53])
def test_at_the_borders_of_blocks_only_tokens_with_mass_are_drawn(uniform: float) -> None:
    logits = torch.full((1, 700), float("-inf"))
    logits[0, [3, 690]] = 0.0
    tokens, _ = draw(logits, torch.tensor([uniform], dtype=torch.float64), 1.0, 1.0)
    assert tokens.item() == (3 if uniform < 0.5 else 690)


def test_a_rows_luck_does_not_depend_on_its_neighbours() -> None:
    alone, together = RowUniforms([11]), RowUniforms([5, 11, 7])
    assert [alone.at(t)[0] for t in range(150)] == [together.at(t)[1] for t in range(150)]


def test_different_seeds_have_different_luck() -> None:
    uniforms = RowUniforms([1, 2, 2**64 - 1])
    assert len(set(uniforms.at(0).tolist())) == 3
