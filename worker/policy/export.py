"""A policy as a plain model directory, without us."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import save_file

from worker.policy.model import PolicyModel, Weights, named_tensors

_WEIGHTS = (".safetensors", ".index.json", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")
"""How files end that hold the base model's weights, in whatever form."""


def write_merged(model: PolicyModel, weights: Weights, directory: Path) -> None:
    """Write `weights` in the base model's own layout, with its configuration and tokenizer, as `transformers` loads it."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in model.directory.iterdir():
        if path.is_file() and not path.name.endswith(_WEIGHTS):
            shutil.copy(path, directory / path.name)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in named_tensors(weights)},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
