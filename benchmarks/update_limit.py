"""How close a policy update comes to the machine's matrix products.

Ours: one update of the embedded model, 4 prompts x 8 completions of 40 tokens, LoRA rank 16. Peer: nothing but the matrix
products that such an update cannot do without (forward, and the gradient by each layer's input; the vocabulary's twice), of the
same shapes. Both sides alternate in one process; medians are compared. The aim: an update takes no more than 4/3 of the peer.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.check import Check
from worker.policy.base import TrainGroup
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import FUSED, PolicyModel, load_model
from worker.policy.products import product
from worker.policy.trained import UpdateConfig

MODEL = Path(__file__).parents[1] / "build" / "models" / "smollm2-135m-instruct"
PROMPT, GROUPS, SAMPLES, TOKENS, ROUNDS = 48, 4, 8, 40, 5
SHARE = 0.75


def run() -> list[Check]:
    """The update's share of the matrix products' speed, against `SHARE`."""
    torch.set_num_threads(os.cpu_count() or 1)
    model = load_model(MODEL)
    policy = LoraPolicy.fresh(model, rank=16, alpha=32, seed=0, config=UpdateConfig(learning_rate=1e-5, max_tokens=TOKENS))
    groups = _groups(model.config.vocab)
    ours, peer, onednn = _alternate(
        lambda: policy.update(groups, 1.0), lambda: _products(model, _by_torch), lambda: _products(model, product)
    )
    tokens = GROUPS * (PROMPT + SAMPLES * TOKENS)
    return [
        Check("seconds", ours, peer, "s", peer / ours),
        Check("tokens", tokens / ours, tokens / peer, "tokens/s", peer / ours),
        Check("share_of_limit", peer / ours, SHARE, "share", peer / ours / SHARE),
        Check("share_of_onednn", onednn / ours, 1.0, "share", onednn / ours),
    ]


def _alternate(*sides: Callable[[], object]) -> list[float]:
    """Median seconds of each, in turn, after one warm-up."""
    seconds: list[list[float]] = [[] for _ in sides]
    for round_ in range(ROUNDS + 1):
        for side, work in zip(seconds, sides, strict=True):
            begin = time.perf_counter()
            work()
            if round_:
                side.append(time.perf_counter() - begin)
    return [statistics.median(side) for side in seconds]


def _groups(vocab: int) -> list[TrainGroup]:
    rng = random.Random(0)

    def text(length: int) -> tuple[int, ...]:
        return tuple(rng.randrange(vocab) for _ in range(length))

    completions = tuple(text(TOKENS) for _ in range(SAMPLES))
    logprobs = tuple((-10.0,) * TOKENS for _ in range(SAMPLES))
    advantages = tuple(1.0 if i % 2 else -1.0 for i in range(SAMPLES))
    return [TrainGroup(text(PROMPT), completions, logprobs, advantages) for _ in range(GROUPS)]


def _by_torch(x: Tensor, matrix: Tensor) -> Tensor:
    return x @ matrix.T


@torch.no_grad()
def _products(model: PolicyModel, by: Callable[[Tensor, Tensor], Tensor]) -> None:
    for _ in range(GROUPS // 2):  # two groups fill a micro-batch
        rows = 2 * (PROMPT + SAMPLES * TOKENS)
        for layer in model.weights.layers:
            for name in FUSED:
                matrix = getattr(layer, name)
                by(by(torch.ones(rows, matrix.shape[1]), matrix), matrix.T)
        for _ in range(0, 2 * SAMPLES * TOKENS, 128):
            logits = by(torch.ones(128, model.config.hidden), model.weights.head)
            by(logits, model.weights.head.T)
