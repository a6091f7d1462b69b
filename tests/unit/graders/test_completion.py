"""What graders see of a completion."""

from __future__ import annotations

from typing import Any

import pytest

from graders.base import Grade, Sandbox
from graders.build import build
from graders.completion import sample_of
from graders.parts import GraderParts
from graders.spec import parse

CALL = '<tool_call>\n{"name": "get_acceptors", "arguments": {"smiles": "CO"}}\n</tool_call>'
ROW = {"messages": [], "smiles": "CO", "tools": [{"type": "function", "function": {"name": "get_acceptors"}}]}
TOOL_CALL: dict[str, Any] = {
    "type": "multi",
    "graders": {
        "function_name": {
            "type": "string_check",
            "name": "function_name",
            "input": "get_acceptors",
            "reference": "{{sample.output_tools[0].function.name}}",
            "operation": "eq",
        },
        "arguments": {
            "type": "string_check",
            "name": "arguments",
            "input": '{"smiles": "{{item.smiles}}"}',
            "reference": "{{sample.output_tools[0].function.arguments}}",
            "operation": "eq",
        },
    },
    "calculate_output": "0.5 * function_name + 0.5 * arguments",
}


def no_sandbox() -> Sandbox:
    pytest.fail("none of these graders runs code")


def test_a_row_with_tools_has_its_calls_taken_out_of_the_text() -> None:
    sample = sample_of(ROW, f"Let me see. {CALL}", as_json=False)
    assert sample.output_text == "Let me see. "
    assert sample.output_tools == [
        {"id": "call_0", "type": "function", "function": {"name": "get_acceptors", "arguments": '{"smiles": "CO"}'}}
    ]


def test_a_row_without_tools_keeps_its_text() -> None:
    sample = sample_of({}, CALL, as_json=False)
    assert (sample.output_text, sample.output_tools) == (CALL, [])


@pytest.mark.parametrize("text", ["<tool_call>{not JSON</tool_call>", '<tool_call>{"arguments": {}}</tool_call>', "No call."])
def test_what_cannot_be_read_as_a_call_is_text(text: str) -> None:
    sample = sample_of(ROW, text, as_json=False)
    assert (sample.output_text, sample.output_tools) == (text, [])


def test_reasoning_is_no_part_of_the_answer_nor_are_the_calls_in_it() -> None:
    sample = sample_of(ROW, f"<think>Perhaps {CALL}</think>\n\n42", as_json=True)
    assert (sample.output_text, sample.output_json, sample.output_tools) == ("42", 42, [])


def test_the_published_grader_of_tool_calls_scores_them() -> None:
    grader = build(parse(TOOL_CALL), GraderParts(no_sandbox))
    right, wrong = (sample_of(ROW, CALL.replace("CO", smiles), as_json=False) for smiles in ("CO", "CC"))
    scores = [result.score for result in grader.grade([right, wrong]) if isinstance(result, Grade)]
    assert scores == [1.0, 0.5]
