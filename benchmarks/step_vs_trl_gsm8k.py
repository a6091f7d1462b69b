"""A GRPO step of 4 GSM8K prompts x 8 samples x 64 tokens on the embedded model, beside TRL's.

The questions are read from `RFT_GSM8K` (a JSONL file with `question`), or from the place where the project's developers keep
them; they are not part of this repository.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.check import Check
from benchmarks.steps import ROOT, Work, against_trl

QUESTIONS = Path(os.environ.get("RFT_GSM8K", ROOT.parent / "shared" / "data" / "gsm8k" / "train-1500.jsonl"))


def run() -> list[Check]:
    """See `benchmarks.steps.against_trl`; no checks, and a line that says so, where the questions are not there."""
    if not QUESTIONS.exists():
        print(f"skipped: there are no GSM8K questions at {QUESTIONS}; name them with RFT_GSM8K")
        return []
    with QUESTIONS.open() as lines:
        questions = [json.loads(line)["question"] for line, _ in zip(lines, range(16), strict=False)]
    messages = [[{"role": "user", "content": f"{question} Think briefly, then give the number."}] for question in questions]
    return against_trl(Work(messages, prompts=4, samples=8, tokens=64, our_steps=4, peer_steps=2, floor=2.5))
