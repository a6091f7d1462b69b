"""Our losses and their gradients beside TRL's, where both define the same formula, on the same random log-probabilities.

TRL's names differ: its `bnpo` is the token-level mean that we call `grpo`, its `grpo` with a ratio of whole sequences is `gspo`,
and its `cispo` takes the bound of the ratio itself. Not compared: `ppo`, which it does not have in this form, and the sampler's
weight for `gspo` and `rloo`, which it defines a token at a time or not at all. The limit is a difference of 1e-6 in float64, of
the loss or of any token's gradient.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import peers
from benchmarks.check import Check
from worker.policy.losses import LOSSES, SAMPLER_WEIGHT_CAP, LossInputs, kl_to_reference

ROOT = Path(__file__).parents[1]
LENGTHS = (1, 17, 64, 5, 40, 33, 2, 38)
MAX_TOKENS = 64
LIMIT = 1e-6
RESOLUTION = 1e-12
"""Differences below are float64's own."""


@dataclass(frozen=True)
class Case:
    """One of our losses, and what it is called over there."""

    name: str
    loss: str
    loss_type: str
    level: str = "token"
    clip_low: float = 0.2
    clip_high: float = 0.28
    drift: float = 0.3
    """How far the sampler was from the trainer."""
    kl_coef: float = 0.0

    @property
    def epsilon_high(self) -> float:
        """The upper bound as TRL takes it."""
        return 1 + self.clip_high if self.loss == "cispo" else self.clip_high


CASES = (
    Case("grpo", "grpo", "bnpo"),
    Case("grpo_kl", "grpo", "bnpo", kl_coef=0.05),
    Case("dr_grpo", "dr_grpo", "dr_grpo"),
    Case("gspo", "gspo", "grpo", level="sequence", clip_low=0.03, clip_high=0.04, drift=0.0),
    Case("cispo", "cispo", "cispo", clip_high=0.5),
    Case("rloo", "rloo", "rloo", drift=0.0),
)


def run() -> list[Check]:
    """The largest difference of each case against `LIMIT`."""
    given = [_inputs(case, seed) for seed, case in enumerate(CASES)]
    tasks = [_task(case, *values) for case, values in zip(CASES, given, strict=True)]
    command = [peers.interpreter("trl"), ROOT / "benchmarks" / "peers" / "trl_losses.py"]
    done = subprocess.run(
        command, cwd=ROOT, env=peers.environment(), input=json.dumps(tasks), stdout=subprocess.PIPE, text=True, check=True
    )
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    return [_check(case, *values, result) for case, values, result in zip(CASES, given, theirs, strict=True)]


def _check(case: Case, inputs: LossInputs, reference: Tensor, theirs: dict[str, Any]) -> Check:
    loss, _ = LOSSES[case.loss](inputs)
    loss = loss + case.kl_coef * kl_to_reference(inputs.logprobs, reference).sum() / inputs.step_tokens
    (gradient,) = torch.autograd.grad(loss, inputs.logprobs)
    their_gradient = torch.tensor([slope for row in theirs["gradient"] for slope in row], dtype=torch.float64)
    difference = max(abs(loss.item() - theirs["loss"]), (gradient - their_gradient).abs().max().item())
    return Check(case.name, difference, LIMIT, "difference", LIMIT / max(difference, RESOLUTION))


def _inputs(case: Case, seed: int) -> tuple[LossInputs, Tensor]:
    """Log-probabilities of a policy some way off from its old self, and of a reference."""
    generator = torch.Generator().manual_seed(seed)

    def noise(scale: float) -> Tensor:
        return scale * torch.randn(sum(LENGTHS), generator=generator, dtype=torch.float64)

    old = -3 * torch.rand(sum(LENGTHS), generator=generator, dtype=torch.float64)
    spread = 0.05 if case.loss in ("gspo", "rloo") else 0.4
    inputs = LossInputs(
        logprobs=(old + noise(spread)).requires_grad_(True),
        old_logprobs=old,
        sampler_logprobs=old + noise(case.drift),
        advantages=torch.randn(len(LENGTHS), generator=generator, dtype=torch.float64),
        lengths=torch.tensor(LENGTHS),
        clip_low=case.clip_low,
        clip_high=case.clip_high,
        step_tokens=sum(LENGTHS),
        step_completions=len(LENGTHS),
        max_tokens=MAX_TOKENS,
    )
    return inputs, old + noise(0.2)


def _task(case: Case, inputs: LossInputs, reference: Tensor) -> dict[str, Any]:
    weights = torch.exp(inputs.old_logprobs - inputs.sampler_logprobs).clamp(max=SAMPLER_WEIGHT_CAP)
    return {
        "loss_type": case.loss_type,
        "level": case.level,
        "epsilon_low": case.clip_low,
        "epsilon_high": case.epsilon_high,
        "beta": case.kl_coef,
        "max_tokens": MAX_TOKENS,
        "advantages": inputs.advantages.tolist(),
        "logprobs": _rows(inputs.logprobs.detach()),
        "old_logprobs": _rows(inputs.old_logprobs),
        "reference": _rows(reference),
        "sampler_weights": _rows(weights),
    }


def _rows(values: Tensor) -> Sequence[Sequence[float]]:
    return [row.tolist() for row in values.split(LENGTHS)]
