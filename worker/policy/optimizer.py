"""AdamW, and its state in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.policy.ranks import spread_as, whole

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Optimizer:
    """AdamW without weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101) over a fixed list of parameters."""

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float) -> None:
        self._parameters = parameters
        self._adam = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.99))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._adam.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the parameters along their gradients."""
        self._adam.step()

    def save(self, directory: Path, *, write: bool = True) -> None:
        """Write the moments and the number of steps. Parameters spread over processes need the call, not the writing, of all."""
        moments = self._adam.state_dict()["state"]
        tensors = {f"{i}.{name}": whole(moments[i][name]).contiguous() for i in moments for name in _MOMENTS}
        if not write:
            return
        save_file(tensors, directory / "optimizer.safetensors")
        steps = int(moments[0]["step"]) if moments else 0
        (directory / "optimizer.json").write_text(json.dumps({"steps": steps}) + "\n")

    def load(self, directory: Path) -> None:
        """The inverse of `save`."""
        moments = load_file(directory / "optimizer.safetensors", device=str(self._parameters[0].device))
        steps = json.loads((directory / "optimizer.json").read_text())["steps"]
        state = self._adam.state_dict()
        state["state"] = {
            i: {"step": torch.tensor(float(steps)), **{name: spread_as(moments[f"{i}.{name}"], parameter) for name in _MOMENTS}}
            for i, parameter in enumerate(self._parameters if moments else ())
        }
        self._adam.load_state_dict(state)
