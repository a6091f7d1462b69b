"""The peer's side of whole training runs: TRL's GRPOTrainer on the rows, graders and sizes of a task. Imports nothing of ours.

    python trl_training.py

The first line of standard input is the task. After every `eval_every` steps the adapter is written, a line of JSON with the step
and the seconds trained so far is printed, and a line is read: `go` or `stop`. The clock stands still meanwhile, so that the
comparison's evaluation costs TRL nothing. Its settings are the fastest on a CPU that do the same work (see `trl_steps.py`); the
loss and its constants are TRL's own defaults, but for the learning rate, which is the task's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Reporter(TrainerCallback):
    """Writes adapters and waits for the word to go on."""

    def __init__(self, task: dict[str, Any], out: Any) -> None:
        self._task = task
        self._out = out
        self._trained = 0.0
        self._since = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def on_step_end(self, _args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Report a step that is due."""
        if state.global_step % self._task["eval_every"]:
            return
        self._trained += time.perf_counter() - self._since
        directory = Path(self._task["directory"]) / f"step-{state.global_step}"
        kwargs["model"].save_pretrained(directory)
        lengths = state.log_history[-1].get("completions/mean_length") if state.log_history else None
        report = {"step": state.global_step, "seconds": self._trained, "adapter": str(directory), "mean_length": lengths}
        print(json.dumps(report), file=self._out, flush=True)
        if sys.stdin.readline().strip() != "go":
            control.should_training_stop = True
        self._since = time.perf_counter()


def reward_of(sources: list[str]) -> Any:
    """TRL's shape of a reward function: the product of the graders' scores."""
    graders = []
    for source in sources:
        scope: dict[str, Any] = {}
        exec(source, scope)
        graders.append(scope["grade"])

    def reward(completions: list[Any], row: list[str], **_: Any) -> list[float]:
        rewards = []
        for completion, text in zip(completions, row, strict=True):
            item, sample = json.loads(text), {"output_text": completion[0]["content"]}
            score = 1.0
            for grade in graders:
                score *= grade(sample, item)
            rewards.append(score)
        return rewards

    return reward


def main() -> None:
    """Train as the task on standard input says."""
    out, sys.stdout = sys.stdout, sys.stderr
    task = json.loads(sys.stdin.readline())
    torch.set_num_threads(task["threads"])
    rows = task["prompts"] * task["samples"]
    config = GRPOConfig(
        output_dir=task["directory"],
        use_cpu=True,
        bf16=False,
        seed=task["seed"],
        gradient_checkpointing=False,
        disable_dropout=True,
        learning_rate=task["learning_rate"],
        lr_scheduler_type="constant",
        max_steps=task["steps"],
        per_device_train_batch_size=rows,
        generation_batch_size=rows,
        num_generations=task["samples"],
        max_completion_length=task["tokens"],
        temperature=1.0,
        beta=0.0,
        num_iterations=1,
        save_strategy="no",
        logging_steps=task["eval_every"],
        report_to=[],
        disable_tqdm=True,
        model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
    )
    trainer = GRPOTrainer(
        model=task["model"],
        args=config,
        reward_funcs=reward_of(task["sources"]),
        train_dataset=Dataset.from_list([{"prompt": row["messages"], "row": json.dumps(row)} for row in task["rows"]]),
        processing_class=AutoTokenizer.from_pretrained(task["model"]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"),
    )
    trainer.add_callback(Reporter(task, out))
    trainer.train()


if __name__ == "__main__":
    main()
