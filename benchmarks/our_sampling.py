"""Our side of `benchmarks.sampling_vs_vllm`: batches of the torch engine, and the machine's limit for them.

    python -m benchmarks.our_sampling < task.json

Prints one line of JSON: seconds of each batch after the first, which warms up, and of the matrix products that a batch cannot do
without, measured behind each of them.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import FUSED, PolicyModel, load_model
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
    for batch in range(task["batches"] + 1):
        groups = [
            PromptGroup(tuple(prompt), tuple(sample_seed(0, "train", batch, row, i) for i in range(task["samples"])))
            for row, prompt in enumerate(task["prompts"])
        ]
        begin = time.perf_counter()
        engine.generate(groups, SamplingParams(task["tokens"]))
        middle = time.perf_counter()
        _products(model, task)
        seconds.append(middle - begin)
        products.append(time.perf_counter() - middle)
    print(json.dumps({"seconds": seconds[1:], "products": products[1:]}))


@torch.inference_mode()
def _products(model: PolicyModel, task: dict[str, Any]) -> None:
    """Every layer's matrices and the vocabulary's, once a position for the whole batch, and once for the prompts."""
    rows = task["samples"] * len(task["prompts"])
    inputs = {name: torch.ones(rows, getattr(model.weights.layers[0], name).shape[1]) for name in FUSED}
    hidden = torch.ones(rows, model.config.hidden)
    for _ in range(task["tokens"]):
        for layer in model.weights.layers:
            for name, given in inputs.items():
                given @ getattr(layer, name).T
        hidden @ model.weights.head.T
    prompt_tokens = sum(len(prompt) for prompt in task["prompts"])
    for layer in model.weights.layers:
        for name in FUSED:
            matrix = getattr(layer, name)
            torch.ones(prompt_tokens, matrix.shape[1]) @ matrix.T


if __name__ == "__main__":
    main()
