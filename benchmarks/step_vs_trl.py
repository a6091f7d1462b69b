"""A GRPO step of 8 prompts x 8 samples x 16 tokens on the embedded model, beside TRL's."""

from __future__ import annotations

from benchmarks.check import Check
from benchmarks.steps import Work, against_trl

TOPICS = ("the sea", "bread", "trains", "winter", "bees", "a market", "glass", "music", "rain", "chess", "bridges", "salt",
          "a garden", "letters", "clocks", "snow")  # fmt: skip


def run() -> list[Check]:
    """See `benchmarks.steps.against_trl`."""
    asked = "Write two short sentences about {}. Every sentence must start with the letter A."
    messages = [[{"role": "user", "content": asked.format(topic)}] for topic in TOPICS]
    return against_trl(Work(messages, prompts=8, samples=8, tokens=16, our_steps=4, peer_steps=2, floor=4.0))
