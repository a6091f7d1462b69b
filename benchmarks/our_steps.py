"""Our side of `benchmarks.steps`: sampling, advantages and the update, as the worker's loop calls them.

    python -m benchmarks.our_steps < task.json

Prints one line of JSON: seconds of each step after the first, which warms up, and completion tokens of a step.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from worker.policy.advantages import Baseline, group_advantages
from worker.policy.base import TrainGroup
from worker.policy.chat import ChatTokenizer
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model
from worker.policy.trained import UpdateConfig
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine
from worker.seeds import sample_seed


def main() -> None:
    """Run the task on standard input."""
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    directory = Path(task["model"])
    chat = ChatTokenizer(directory)
    config = UpdateConfig(learning_rate=1e-5, max_tokens=task["tokens"])
    policy = LoraPolicy.fresh(load_model(directory), rank=16, alpha=32, seed=0, config=config)
    # Nothing stops a completion: every one is as long as every other, on both sides.
    engine = TorchEngine(policy, frozenset())
    prompts = [chat.prompt(messages, None) for messages in task["messages"]]
    seconds = [_step(step, prompts, policy, engine, task) for step in range(task["steps"] + 1)][1:]
    print(json.dumps({"seconds": seconds, "tokens": task["prompts"] * task["samples"] * task["tokens"]}))


def _step(step: int, prompts: list[tuple[int, ...]], policy: LoraPolicy, engine: TorchEngine, task: dict[str, Any]) -> float:
    begin = time.perf_counter()
    first = step * task["prompts"] % len(prompts)
    batch = list(islice(prompts[first:] + prompts, task["prompts"]))
    groups = [
        PromptGroup(prompt, tuple(sample_seed(0, "train", step, row, i) for i in range(task["samples"])))
        for row, prompt in enumerate(batch)
    ]
    completions = engine.generate(groups, SamplingParams(task["tokens"]))
    rewards = [float(i % 2) for i in range(task["samples"])]
    advantages = tuple(a for a in group_advantages(rewards, Baseline.STANDARD) if a is not None)
    policy.update(
        [
            TrainGroup(prompt, tuple(c.tokens_T for c in group), tuple(c.logprobs_T for c in group), advantages)
            for prompt, group in zip(batch, completions, strict=True)
        ],
        1.0,
    )
    engine.sync()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
