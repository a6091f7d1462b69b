"""The tasks on which whole training runs are compared: those of the examples, graded alike on every side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.service import ROOT

EXAMPLES = ROOT / "examples"
MODEL_ID = "smollm2-135m-instruct"
MODEL_DIR = ROOT / "build" / "models"

Json = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """Rows, and python graders whose scores are multiplied."""

    name: str
    tokens: int
    """Of a completion at most."""
    sources: tuple[str, ...]

    def rows(self, split: str) -> list[Json]:
        """`train` or `validation`."""
        return [json.loads(line) for line in self.file(split).read_text().splitlines()]

    def file(self, split: str) -> Path:
        """The data set as it is uploaded."""
        return EXAMPLES / self.name / f"{split}.jsonl"

    def grader(self) -> Json:
        """The configuration of the job's grader."""
        members = {f"part{i}": {"type": "python", "name": f"part{i}", "source": source} for i, source in enumerate(self.sources)}
        return {"type": "multi", "name": self.name, "graders": members, "calculate_output": " * ".join(members)}

    def rewards(self, texts: Sequence[str], split: str) -> list[float]:
        """Of one completion a row, by the same graders in this process."""
        rewards = [1.0] * len(texts)
        for source in self.sources:
            scope: Json = {}
            exec(source, scope)
            grades = [scope["grade"]({"output_text": text}, row) for text, row in zip(texts, self.rows(split), strict=True)]
            rewards = [reward * grade for reward, grade in zip(rewards, grades, strict=True)]
        return rewards


def _source(name: str) -> str:
    return (EXAMPLES / "precise_instructions" / f"grader_{name}.py").read_text()


PRECISE_INSTRUCTIONS = Task("precise_instructions", 40, (_source("share"), _source("answer")))
SUMS = Task("sums", 8, ('def grade(sample, item):\n    return float(sample["output_text"] == item["answer"])\n',))
