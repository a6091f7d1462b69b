from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.models import random_model
from worker.policy.forward import completion_logprobs, hidden_states, pack
from worker.policy.logits import TokenLogprobs
from worker.policy.lora import Adapter
from worker.policy.model import PolicyModel, UnsupportedModel, load_model, named_tensors

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"tie_word_embeddings": False}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "llama3-rope": ("llama", {"rope_parameters": LLAMA3_ROPE}),
    "mistral": ("mistral", {}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
}
GROUPS = [
    ((5, 9, 11, 40, 2), ((7, 8, 9), (3,), (250, 299, 0, 1, 258))),
    ((1,), ((4, 4), (17, 258))),
    (tuple(range(30, 70)), ((200, 201, 202, 203),)),
]


@pytest.fixture(scope="module", params=sorted(MODELS))
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family, config = MODELS[request.param]
    return random_model(tmp_path_factory.mktemp(request.param), family, **config)


@pytest.fixture(scope="module")
def model(directory: Path) -> PolicyModel:
    return load_model(directory)


def reference(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def naive_logprobs(module: Any, temperature: float) -> Tensor:
    """Log-probabilities of all completion tokens of `GROUPS`, each prompt and completion computed on its own."""
    pieces = []
    for prompt, completions in GROUPS:
        for completion in completions:
            logits = module(torch.tensor([[*prompt, *completion]])).logits[0] / temperature
            targets = torch.tensor(completion)[:, None]
            pieces.append(logits[len(prompt) - 1 : -1].log_softmax(-1).gather(1, targets)[:, 0])
    return torch.cat(pieces)


def noisy_adapter(model: PolicyModel) -> Adapter:
    """An adapter whose B is not zero, so that every gradient flows."""
    generator = torch.Generator().manual_seed(3)
    adapter = Adapter.fresh(model.weights, rank=4, alpha=8.0, generator=generator)
    for layer in adapter.layers:
        for linear in layer.values():
            for part in linear.b:
                part.copy_(0.05 * torch.randn(part.shape, generator=generator))
    return adapter


def test_logits_are_those_of_transformers(directory: Path, model: PolicyModel) -> None:
    tokens = torch.randint(0, 300, (1, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(directory)(tokens).logits[0]
        packed = pack([(tokens[0].tolist(), ())])
        actual = hidden_states(model.weights, packed) @ model.weights.head.T
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_a_pack_with_shared_prompts_gives_the_log_probabilities_of_separate_sequences(
    directory: Path, model: PolicyModel
) -> None:
    with torch.no_grad():
        expected = naive_logprobs(reference(directory), 0.7)
        actual, _ = completion_logprobs(model.weights, pack(GROUPS), 0.7)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_log_probabilities_and_gradients_of_a_saved_adapter_are_those_of_peft(
    directory: Path, model: PolicyModel, tmp_path: Path
) -> None:
    adapter = noisy_adapter(model)
    adapter.write(tmp_path, "base")
    peft = PeftModel.from_pretrained(reference(directory), tmp_path, is_trainable=True).eval()
    expected = naive_logprobs(peft, 1.3)
    slopes = torch.linspace(-1, 1, len(expected))
    (expected * slopes).sum().backward()

    merged = model.weights.copy_linears()
    adapter.merge(model.weights, merged)
    for parameter in adapter.parameters():
        parameter.requires_grad_(True)
    actual, _ = completion_logprobs(merged, pack(GROUPS), 1.3, adapter)
    (actual * slopes).sum().backward()

    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    gradients = {name.replace(".default", ""): parameter.grad for name, parameter in peft.named_parameters() if "lora_" in name}
    ours = gradients_by_name(adapter)
    assert gradients.keys() == ours.keys()
    for name, gradient in gradients.items():
        assert (ours[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def gradients_by_name(adapter: Adapter) -> dict[str, Tensor]:
    """The gradients under peft's names."""
    copy = Adapter(adapter.rank, adapter.alpha, adapter.layers)
    for parameter in copy.parameters():
        parameter.data = parameter.grad
    return copy.named()


def test_an_adapter_read_back_is_the_one_written(model: PolicyModel, tmp_path: Path) -> None:
    adapter = noisy_adapter(model)
    adapter.write(tmp_path, "base")
    assert all(map(torch.equal, Adapter.read(tmp_path, model.weights).parameters(), adapter.parameters()))


def test_merging_an_empty_adapter_keeps_the_bits_of_the_base(model: PolicyModel) -> None:
    merged = model.weights.copy_linears()
    Adapter.fresh(model.weights, 4, 8.0, torch.Generator().manual_seed(0)).merge(model.weights, merged)
    pairs = zip(named_tensors(model.weights), named_tensors(merged), strict=True)
    assert all(torch.equal(before, after) for (_, before), (_, after) in pairs)


def test_a_model_of_another_architecture_is_refused(directory: Path, tmp_path: Path) -> None:
    text = (directory / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("ForCausalLM", "ForTokenClassification"))
    with pytest.raises(UnsupportedModel):
        load_model(tmp_path)


@pytest.mark.parametrize("rows", [1, TokenLogprobs.CHUNK, TokenLogprobs.CHUNK + 1, 3 * TokenLogprobs.CHUNK])
def test_token_logprobs_and_their_gradient_are_those_of_log_softmax(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(77, 16, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 77, (rows,), generator=generator)
    slopes = torch.randn(rows, generator=generator, dtype=torch.float64)
    logprobs, entropy = TokenLogprobs.apply(hidden, head, targets, 0.6)
    (actual,) = torch.autograd.grad((logprobs * slopes).sum(), hidden)

    whole = (hidden @ head.T / 0.6).log_softmax(-1)
    chosen = whole.gather(1, targets[:, None])[:, 0]
    (expected,) = torch.autograd.grad((chosen * slopes).sum(), hidden)
    torch.testing.assert_close(logprobs, chosen)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(entropy, -(whole.exp() * whole).sum(-1))
