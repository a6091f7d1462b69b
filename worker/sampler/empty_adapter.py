"""An adapter that changes nothing: the base model's name on a vLLM server where requests for base and adapters meet.

On CPUs vLLM (0.32) computes a request without an adapter with whichever lies in its last slot, as soon as one with an adapter is
in the same batch: the index of none, -1, is read as that of the last. An adapter of zeros has a slot of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

_MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def write_empty_adapter(directory: Path, config: Any, base_model: str) -> None:
    """Write it as `peft` does, for a model of this `transformers` config."""
    directory.mkdir(parents=True, exist_ok=True)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    tensors = {
        f"{_MODULE}.lora_A.weight": torch.zeros(1, config.hidden_size),
        f"{_MODULE}.lora_B.weight": torch.zeros(config.num_attention_heads * width, 1),
    }
    (directory / "adapter_model.safetensors").write_bytes(save(tensors))
    described = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"]}
    (directory / "adapter_config.json").write_text(json.dumps({**described, "base_model_name_or_path": base_model}) + "\n")
