"""The examples in the documentation of graders, and the rewards it gives for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders.base import Grade, Sample, Sandbox
from graders.build import build
from graders.parts import GraderParts
from graders.sandbox.client import SandboxClient
from graders.spec import parse

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "graders.md"
EXAMPLES = {
    example["type"]: example
    for example in map(
        json.loads, re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
}
SAMPLES = {
    "string_check": (Sample(item={"answer": 42}, output_text="42"), 1.0),
    "text_similarity": (
        Sample(item={"reference_answer": "fuzzy wuzzy had no hair"}, output_text="fuzzy wuzzy was a bear"),
        0.7556,
    ),
    "python": (Sample(item={}, output_text="An owl hoots. It is night."), 0.5),
    "multi": (Sample({"answer": "a", "reason": "x y"}, "", {"answer": "a", "reason": "no words shared"}), 0.75),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    client = SandboxClient()
    yield client
    client.close()


def test_every_type_has_an_example() -> None:
    assert EXAMPLES.keys() == SAMPLES.keys()


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_example_gives_the_reward_in_the_text(kind: str, sandbox: Sandbox) -> None:
    sample, reward = SAMPLES[kind]
    [result] = build(parse(EXAMPLES[kind]), GraderParts(lambda: sandbox)).grade([sample])
    assert isinstance(result, Grade)
    assert result.score == pytest.approx(reward, abs=5e-5)
