"""The weights of a checkpoint: an adapter on its base model, or a whole model."""

from __future__ import annotations

from pathlib import Path

from worker.policy.lora import Adapter
from worker.policy.model import PolicyModel, Weights, load_model


def tuned_weights(base: PolicyModel, directory: Path) -> Weights:
    """What a checkpoint's directory makes of its base model, which stays as it was."""
    if (directory / "config.json").exists():
        return load_model(directory, str(base.weights.embed.device), base.weights.embed.dtype).weights
    merged = base.weights.copy_linears()
    Adapter.read(directory, base.weights).merge(base.weights, merged)
    return merged
