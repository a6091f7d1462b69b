"""Reward: which share of the sentences starts with the letter A."""

import re


def grade(sample: dict, item: dict) -> float:
    """Sentences end with a full stop, an exclamation or a question mark, or with the line; anything but text counts against."""
    text = sample["output_text"].strip()
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if re.search(r"\w", part)]
    if not sentences:
        return 0.0
    return sum(sentence.startswith(("A", "a")) for sentence in sentences) / len(sentences)
