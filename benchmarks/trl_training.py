"""Runs TRL on a task and validates its adapters as ours are validated: same rows, same engine, same luck."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import peers
from benchmarks.training_tasks import MODEL_DIR, MODEL_ID, Task
from worker.policy.chat import ChatTokenizer
from worker.policy.lora import Adapter
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import UpdateConfig
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine
from worker.seeds import sample_seed

MODEL = MODEL_DIR / MODEL_ID


@dataclass(frozen=True)
class Point:
    """A validation: the step, the seconds of training before it, the mean reward of one completion a row."""

    step: int
    seconds: float
    reward: float


@dataclass(frozen=True)
class Size:
    """Of a run: prompts and samples a step, the step after which it ends, the steps between validations."""

    prompts: int
    samples: int
    steps: int
    eval_every: int
    learning_rate: float


class Validator:
    """Validates adapters on a task's held-out rows."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._seed = seed

    def reward(self, adapter: Path) -> float:
        """The mean reward of the base model with the adapter in `adapter`."""
        policy = LoraPolicy(self._model, Adapter.read(adapter, self._model.weights), UpdateConfig(learning_rate=1e-5))
        groups = [
            PromptGroup(self._chat.prompt(row["messages"]), (sample_seed(self._seed, "valid", 0, i, 0),))
            for i, row in enumerate(self._task.rows("validation"))
        ]
        completions = TorchEngine(policy, self._chat.stop_ids).generate(groups, SamplingParams(self._task.tokens))
        texts = [self._chat.text(completion.tokens_T) for [completion] in completions]
        return fmean(self._task.rewards(texts, "validation"))

    @cached_property
    def _model(self) -> PolicyModel:
        return load_model(MODEL)

    @cached_property
    def _chat(self) -> ChatTokenizer:
        return ChatTokenizer(MODEL)


def train(task: Task, size: Size, seed: int) -> Iterator[Point]:
    """TRL's validations as they come; TRL stops where the caller does."""
    validator = Validator(task, seed)
    with tempfile.TemporaryDirectory(prefix="trl-", dir=peers.PLACE.parent) as directory:
        command = [peers.interpreter("trl"), peers.HERE / "trl_training.py"]
        process = subprocess.Popen(command, env=peers.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(_work(task, size, seed, directory)) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                report: dict[str, Any] = json.loads(line)
                yield Point(report["step"], report["seconds"], validator.reward(Path(report["adapter"])))
                process.stdin.write("go\n")
                process.stdin.flush()
            if process.wait():
                raise SystemExit(f"TRL ended with status {process.returncode}")
        finally:
            process.kill()
            process.wait()


def _work(task: Task, size: Size, seed: int, directory: str) -> dict[str, Any]:
    return {
        "model": str(MODEL),
        "rows": task.rows("train"),
        "sources": task.sources,
        "tokens": task.tokens,
        "prompts": size.prompts,
        "samples": size.samples,
        "steps": size.steps,
        "eval_every": size.eval_every,
        "learning_rate": size.learning_rate,
        "seed": seed,
        "threads": os.cpu_count() or 1,
        "directory": directory,
    }
