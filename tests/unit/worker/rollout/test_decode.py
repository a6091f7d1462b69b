from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.models import random_model
from worker.policy.forward import completion_logprobs, pack
from worker.policy.model import PolicyModel, load_model
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.decode import decode

PROMPTS = (tuple(range(40, 45)), (7,), tuple(range(100, 190)))
Row = tuple[tuple[int, ...], tuple[float, ...]]


def groups(prompts: Sequence[tuple[int, ...]] = PROMPTS, members: int = 3) -> list[PromptGroup]:
    return [PromptGroup(prompt, tuple(1000 * p + g for g in range(members))) for p, prompt in enumerate(prompts)]


def sample(model: PolicyModel, wanted: Sequence[PromptGroup], params: SamplingParams, stop_ids: set[int]) -> list[Row]:
    """(tokens, log-probabilities) of each row."""
    rows: list[tuple[list[int], list[float]]] = [([], []) for group in wanted for _ in group.seeds_G]
    for drawn in decode(model.weights, wanted, params, stop_ids):
        for row, token, logprob in zip(drawn.rows, drawn.tokens, drawn.logprobs, strict=True):
            rows[row][0].append(token)
            rows[row][1].append(logprob)
    return [(tuple(tokens), tuple(logprobs)) for tokens, logprobs in rows]


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen2", "qwen3"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp(request.param), request.param)


def test_greedy_tokens_are_those_of_transformers(family: Path) -> None:
    reference = AutoModelForCausalLM.from_pretrained(family, dtype=torch.float32).eval()
    rows = sample(load_model(family), groups(members=1), SamplingParams(100, temperature=0), {258})
    for prompt, (tokens, _) in zip(PROMPTS, rows, strict=True):
        ids = torch.tensor([prompt])
        expected = reference.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=100)
        assert list(tokens) == expected[0, len(prompt) :].tolist()


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_log_probabilities_are_those_that_training_computes(family: Path, temperature: float) -> None:
    model, wanted = load_model(family), groups()
    rows = sample(model, wanted, SamplingParams(80, temperature), {258})
    packed = pack([(group.prompt_T, [tokens for tokens, _ in rows[3 * p : 3 * p + 3]]) for p, group in enumerate(wanted)])
    with torch.no_grad():
        trained, _ = completion_logprobs(model.weights, packed, temperature)
    sampled = torch.tensor([logprob for _, logprobs in rows for logprob in logprobs])
    torch.testing.assert_close(sampled, trained, rtol=0, atol=1e-4)


def test_the_same_batch_gives_the_same_bits(tiny: PolicyModel) -> None:
    params = SamplingParams(70, temperature=0.8, top_p=0.9)
    assert sample(tiny, groups(), params, {258}) == sample(tiny, groups(), params, {258})


def test_a_rows_tokens_do_not_depend_on_the_rest_of_the_batch(tiny: PolicyModel) -> None:
    params = SamplingParams(70, temperature=0.5)
    together = sample(tiny, groups(), params, {258})
    for p, group in enumerate(groups()):
        alone = sample(tiny, [group], params, {258})
        assert [tokens for tokens, _ in alone] == [tokens for tokens, _ in together[3 * p : 3 * p + 3]]


def test_rows_that_end_early_leave_and_the_others_go_on(tiny: PolicyModel) -> None:
    """Many stop tokens: rows end at many positions, and the cache is compacted again and again."""
    stop_ids = set(range(0, 300, 15))
    params = SamplingParams(60)
    free = sample(tiny, groups(members=8), params, set())
    stopped = sample(tiny, groups(members=8), params, stop_ids)
    assert len({len(tokens) for tokens, _ in stopped}) > 5
    for (whole, _), (tokens, _) in zip(free, stopped, strict=True):
        end = next((t + 1 for t, token in enumerate(whole) if token in stop_ids), len(whole))
        assert tokens == whole[:end]


@pytest.mark.parametrize("max_tokens", [1, 2, 64, 65, 150])
def test_no_row_is_longer_than_asked(tiny: PolicyModel, max_tokens: int) -> None:
    rows = sample(tiny, groups(members=2), SamplingParams(max_tokens), set())
    assert {len(tokens) for tokens, _ in rows} == {max_tokens}


def test_groups_may_differ_in_size(tiny: PolicyModel) -> None:
    uneven = [PromptGroup((5, 6), (1,)), PromptGroup((9,), (2, 3, 4))]
    even = [PromptGroup((5, 6), (1, 8, 9)), PromptGroup((9,), (2, 3, 4))]
    params = SamplingParams(10, temperature=0.5)
    few, many = sample(tiny, uneven, params, set()), sample(tiny, even, params, set())
    assert [tokens for tokens, _ in few] == [tokens for tokens, _ in (many[0], *many[3:])]
