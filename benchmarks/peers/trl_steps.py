"""The peer's side of `benchmarks.steps`: GRPO steps by TRL's own trainer, timed step by step. Imports nothing of ours.

    python trl_steps.py < task.json

Prints one line of JSON: seconds of each step after the first, which warms up, and completion tokens of a step.
TRL's settings are the fastest on a CPU that do the same work: float32, one forward and backward for all samples of a step,
no reference model, no gradient checkpointing, dropout off, no logging, no checkpoints.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class StepTimes(TrainerCallback):
    """Wall time between the ends of steps."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def main() -> None:
    """Run the task on standard input."""
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    rows = task["prompts"] * task["samples"]
    tokenizer = AutoTokenizer.from_pretrained(task["model"])
    eos = tokenizer.eos_token_id
    rewards = itertools.cycle([0.0, 1.0])
    with tempfile.TemporaryDirectory() as directory:
        config = GRPOConfig(
            output_dir=directory,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_dropout=True,
            learning_rate=1e-5,
            lr_scheduler_type="constant",
            max_steps=task["steps"] + 1,
            per_device_train_batch_size=rows,
            generation_batch_size=rows,
            num_generations=task["samples"],
            max_completion_length=task["tokens"],
            # Every completion as long as every other, on both sides.
            generation_kwargs={"min_new_tokens": task["tokens"], "eos_token_id": eos},
            temperature=1.0,
            beta=0.0,
            num_iterations=1,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            shuffle_dataset=False,
            model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
        )
        trainer = GRPOTrainer(
            model=task["model"],
            args=config,
            reward_funcs=lambda completions, **_: [next(rewards) for _ in completions],
            train_dataset=Dataset.from_list([{"prompt": messages} for messages in task["messages"]]),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"),
        )
        times = StepTimes()
        trainer.add_callback(times)
        trainer.train()
    seconds = [end - begin for begin, end in itertools.pairwise(times.ends)]
    print(json.dumps({"seconds": seconds, "tokens": rows * task["tokens"]}))


if __name__ == "__main__":
    main()
