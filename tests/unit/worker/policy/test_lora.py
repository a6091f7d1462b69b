"""An adapter merged elsewhere, from files, is the policy's own merge."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models import random_model
from worker.policy.lora import merged_tensors
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model, named_tensors
from worker.policy.trained import UpdateConfig


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_merged_from_files_to_the_same_bits(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    base = random_model(tmp_path / "base", family)
    model = load_model(base, dtype=dtype)
    policy = LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=UpdateConfig(learning_rate=0.01))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.adapter.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    policy.adapter.merge(model.weights, policy.merged)
    policy.save_checkpoint(tmp_path / "adapter")

    merged = dict(merged_tensors(base, tmp_path / "adapter", "cpu", dtype))

    expected = dict(named_tensors(policy.merged))
    untouched = {name for name in expected if "proj" not in name}
    assert set(merged) == set(expected) - untouched
    assert untouched
    for name, tensor in merged.items():
        assert torch.equal(tensor, expected[name]), name
    base_tensors = dict(named_tensors(model.weights))
    assert not any(torch.equal(merged[name], base_tensors[name]) for name in merged if name.endswith("proj.weight"))
