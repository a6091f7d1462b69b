"""The examples in the documentation of graders, and the rewards it gives for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.models import JudgeEndpoint, ModelRegistry
from core.outbound import Outbound
from core.processes import SocketService
from graders.base import Grade, Sample, Sandbox
from graders.build import build
from graders.judges.pool import JudgePool
from graders.parts import GraderParts
from graders.sandbox.client import SandboxClient
from graders.spec import parse
from tests.judge import always, scored, serving, verdict

DOCUMENTS = Path(__file__).resolve().parents[3] / "docs" / "graders"


def examples(document: str) -> list[dict[str, Any]]:
    text = (DOCUMENTS / document).read_text("utf-8")
    return [json.loads(found) for found in re.findall(r"^```json\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)]


*VERIFIERS, SHAPED = examples("verifiers.md")
EXAMPLES = {example["type"]: example for example in examples("types.md") + examples("models.md") + VERIFIERS}
SAMPLES = {
    "string_check": (Sample(item={"answer": 42}, output_text="42"), 1.0),
    "text_similarity": (
        Sample(item={"reference_answer": "fuzzy wuzzy had no hair"}, output_text="fuzzy wuzzy was a bear"),
        0.7556,
    ),
    "python": (Sample(item={}, output_text="An owl hoots. It is night."), 0.5),
    "math": (Sample(item={"answer": r"\frac{3}{4}"}, output_text=r"So it is \boxed{0.75}"), 1.0),
    "instructions": (Sample(item={}, output_text="Brevity is the soul, they say"), 0.5),
    "code": (Sample(item={}, output_text="print(3)"), 0.5),
    "multi": (Sample({"answer": "a", "reason": "x y"}, "", {"answer": "a", "reason": "no words shared"}), 0.75),
}


ASKED = {
    "score_model": (Sample(item={"question": "Why is the sky blue?"}, output_text="It scatters."), verdict(8), 8.0),
    "label_model": (Sample(item={}, output_text="Do come in."), verdict("neutral"), 1.0),
    "endpoint": (Sample(item={}, output_text="x"), scored(0.5), 0.5),
}
"""Examples that ask a server, and what it answers."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    client = SandboxClient()
    yield client
    client.close()


def test_every_type_has_an_example() -> None:
    assert EXAMPLES.keys() == SAMPLES.keys() | ASKED.keys()


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_example_gives_the_reward_in_the_text(kind: str, sandbox: Sandbox) -> None:
    sample, reward = SAMPLES[kind]
    [result] = build(parse(EXAMPLES[kind]), GraderParts(lambda: sandbox)).grade([sample])
    assert isinstance(result, Grade)
    assert result.score == pytest.approx(reward, abs=5e-5)


@pytest.mark.parametrize(
    ("text", "reward"), [("It is $7$", 1.0), ("It is, after long thought, " + "very " * 80 + "$7$", 0.8), ("It is $8$", 0.0)]
)
def test_the_shaped_reward_is_the_one_in_the_text(text: str, reward: float, sandbox: Sandbox) -> None:
    [result] = build(parse(SHAPED), GraderParts(lambda: sandbox)).grade([Sample(item={"answer": "7"}, output_text=text)])
    assert isinstance(result, Grade)
    assert result.score == pytest.approx(reward)


@pytest.mark.parametrize("kind", ASKED)
def test_an_example_that_asks_a_server_gives_the_reward_in_the_text(kind: str) -> None:
    sample, answer, reward = ASKED[kind]
    with serving(always(answer)) as server:
        # Of the example's own server there is none.
        example = {**EXAMPLES[kind], **({"url": server.url} if kind == "endpoint" else {})}
        spec = parse({"type": "multi", "graders": {"x": example}, "calculate_output": "x"})
        judge = JudgeEndpoint("gpt-4.1-2025-04-14", server.url, None, "there", 1, 30.0)
        pool = JudgePool(ModelRegistry({}, {}, {judge.name: judge}), SocketService([]))
        outbound = Outbound(allow_private=True)
        [result] = build(spec, GraderParts(no_sandbox, pool, outbound)).grade([sample])
        pool.close()
        outbound.close()
    assert isinstance(result, Grade)
    assert result.score == reward


def no_sandbox() -> Sandbox:
    raise AssertionError("nothing here runs code")
