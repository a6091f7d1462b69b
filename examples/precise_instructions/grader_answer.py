"""Reward: whether the answer still is an answer, from 0 to 1: about its topic, two sentences or so, real and varied words."""

import re


def grade(sample: dict, item: dict) -> float:
    """Three parts, multiplied: the topic is named, the length is that of two short sentences, words are not repeated."""
    text = sample["output_text"].lower()
    words = re.findall(r"[a-z']+", text)
    if len(words) < 6:
        return 0.0
    on_topic = any(keyword in text for keyword in item["keywords"])
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if re.search(r"\w", part)]
    right_count = 1.0 if len(sentences) == 2 else 0.75 if len(sentences) in (1, 3) else 0.25
    variety = min(1.0, len(set(words)) / len(words) / 0.6)
    return (1.0 if on_topic else 0.2) * right_count * variety
