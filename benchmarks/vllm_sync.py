"""Steps with vLLM as the engine, for `benchmarks.overhead`: how much of them is passing the weights on.

    python -m benchmarks.vllm_sync < task.json      # in an environment that has vLLM

Prints one line of JSON: seconds of each step after the first, and of the sync in it.
"""

from __future__ import annotations

import json
import sys
import time
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
from worker.seeds import sample_seed


def main() -> None:
    """Run the task on standard input."""
    from worker.rollout.vllm import VllmEngine
    from worker.rollout.vllm_process import VllmOptions

    task: dict[str, Any] = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    directory = Path(task["model"])
    chat = ChatTokenizer(directory)
    prompts = [chat.prompt(messages) for messages in task["messages"]]
    policy = LoraPolicy.fresh(
        load_model(directory), rank=16, alpha=32, seed=0, config=UpdateConfig(learning_rate=1e-5, max_tokens=task["tokens"])
    )
    options = VllmOptions(max_model_len=512, dtype="float32", sync="merged", max_lora_rank=16, max_num_seqs=task["samples"] * 8)
    engine = VllmEngine(directory, policy, frozenset(), options)
    advantages = group_advantages([float(i % 2) for i in range(task["samples"])], Baseline.STANDARD)
    steps: list[float] = []
    syncs: list[float] = []
    for step in range(task["steps"] + 1):
        begin = time.perf_counter()
        groups = [
            PromptGroup(prompt, tuple(sample_seed(0, "train", step, row, i) for i in range(task["samples"])))
            for row, prompt in enumerate(prompts)
        ]
        completions = engine.generate(groups, SamplingParams(task["tokens"]))
        policy.update(
            [
                TrainGroup(
                    prompt,
                    tuple(c.tokens_T for c in group),
                    tuple(c.logprobs_T for c in group),
                    tuple(a for a in advantages if a is not None),
                )
                for prompt, group in zip(prompts, completions, strict=True)
            ],
            1.0,
        )
        middle = time.perf_counter()
        engine.sync()
        syncs.append(time.perf_counter() - middle)
        steps.append(time.perf_counter() - begin)
    engine.close()
    print("\n" + json.dumps({"steps": steps[1:], "syncs": syncs[1:]}))


if __name__ == "__main__":
    main()
