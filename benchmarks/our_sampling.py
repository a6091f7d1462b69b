"""Our side of `benchmarks.sampling_vs_vllm`: batches of the torch engine, and the machine's limit for them.

    python -m benchmarks.our_sampling < task.json

Prints one line of JSON: seconds of each batch after the first, which warms up, and of the matrix products that a batch cannot do
without, by torch's own `@` and by oneDNN, measured behind each of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import FUSED, Weights, load_model
from worker.policy.products import product
from worker.policy.trained import UpdateConfig
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine
from worker.seeds import sample_seed


def main() -> None:
    """Run the task on standard input."""
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    model = load_model(Path(task["model"]))
    policy = LoraPolicy.fresh(model, rank=16, alpha=32, seed=0, config=UpdateConfig(learning_rate=1e-5))
    engine = TorchEngine(policy, frozenset())
    seconds: list[float] = []
    products: list[float] = []
    onednn: list[float] = []
    laid_out = model.weights.packed(task["samples"] * len(task["prompts"]))
    for batch in range(task["batches"] + 1):
        groups = [
            PromptGroup(tuple(prompt), tuple(sample_seed(0, "train", batch, row, i) for i in range(task["samples"])))
            for row, prompt in enumerate(task["prompts"])
        ]
        begin = time.perf_counter()
        engine.generate(groups, SamplingParams(task["tokens"]))
        middle = time.perf_counter()
        _products(model.weights, task, lambda x, matrix: x @ matrix.T)
        last = time.perf_counter()
        _products(laid_out, task, product)
        onednn.append(time.perf_counter() - last)
        products.append(last - middle)
        seconds.append(middle - begin)
    print(json.dumps({"seconds": seconds[1:], "products": products[1:], "onednn": onednn[1:]}))


@torch.inference_mode()
def _products(weights: Weights, task: dict[str, Any], by: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Every layer's matrices and the vocabulary's, once a position for the whole batch, and once for the prompts."""
    rows, prompt_tokens = task["samples"] * len(task["prompts"]), sum(len(prompt) for prompt in task["prompts"])
    widths = {name: getattr(weights.layers[0], name).shape[1] for name in FUSED}
    batch, prompts = ({name: torch.ones(n, width) for name, width in widths.items()} for n in (rows, prompt_tokens))
    hidden = torch.ones(rows, weights.config.hidden)
    for _ in range(task["tokens"]):
        _through(weights, batch, by)
        by(hidden, weights.head)
    _through(weights, prompts, by)


def _through(weights: Weights, given: dict[str, Tensor], by: Callable[[Tensor, Tensor], Tensor]) -> None:
    for layer in weights.layers:
        for name, x in given.items():
            by(x, getattr(layer, name))


if __name__ == "__main__":
    main()
