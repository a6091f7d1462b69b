"""TRL's side of `losses_vs_trl`: its trainers' own loss code on given log-probabilities. Runs in TRL's environment.

Reads a list of cases from standard input and prints the list of their losses and gradients. The trainers' `_compute_loss` runs
unchanged, on an object that has the settings it reads, and in place of a model gives the case's log-probabilities.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from trl import GRPOTrainer, RLOOTrainer

torch.set_default_dtype(torch.float64)


def padded(rows: list[list[float]]) -> torch.Tensor:
    """[B, T], zeros behind each row's end."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def case_result(case: dict[str, Any], accelerator: Accelerator) -> dict[str, Any]:
    """The loss of one case, and its gradient by each token's log-probability."""
    logps, old, reference = (padded(case[name]) for name in ("logprobs", "old_logprobs", "reference"))
    mask = padded([[1.0] * len(row) for row in case["logprobs"]])
    logps.requires_grad_(True)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps), None),
        accelerator=accelerator,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        model=SimpleNamespace(training=True),
        _metrics=defaultdict(lambda: defaultdict(list)),
        current_gradient_accumulation_steps=1,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        _entropy_bonus_enabled=False,
        use_vllm=True,
        vllm_importance_sampling_correction=True,
        loss_type=case["loss_type"],
        importance_sampling_level=case["level"],
        epsilon_low=case["epsilon_low"],
        epsilon_high=case["epsilon_high"],
        beta=case["beta"],
        max_completion_length=case["max_tokens"],
    )
    ids = torch.zeros(logps.shape, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": mask[:, :1],
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": torch.tensor(case["advantages"]),
        "old_per_token_logps": old,
        "old_logps": (old * mask).sum(1),
        "ref_per_token_logps": reference,
        "importance_sampling_ratio": padded(case["sampler_weights"]),
        "num_items_in_batch": mask.sum(),
    }
    loss = (RLOOTrainer if case["loss_type"] == "rloo" else GRPOTrainer)._compute_loss(trainer, trainer.model, inputs)
    (gradient,) = torch.autograd.grad(loss, logps)
    rows = [row[: len(given)].tolist() for row, given in zip(gradient, case["logprobs"], strict=True)]
    return {"loss": loss.item(), "gradient": rows}


def main() -> None:
    """See the module."""
    accelerator = Accelerator(cpu=True)
    print(json.dumps([case_result(case, accelerator) for case in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
