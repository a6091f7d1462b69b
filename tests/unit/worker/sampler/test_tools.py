from __future__ import annotations

import json
from typing import Any

import pytest

from worker.sampler.tools import ToolCalls, for_template, has_tools

CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "sea"}}\n</tool_call>'


def read(text: str, *, size: int = 3, several: bool = True) -> tuple[str, list[tuple[str, Any]]]:
    """The text that is given out, and the calls, of an answer that comes in pieces."""
    calls = ToolCalls(several=several)
    given = "".join(calls.push(text[begin : begin + size]) for begin in range(0, len(text), size))
    held, found = calls.finish()
    return given + held, [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_call_is_taken_out_of_the_text(size: int) -> None:
    assert read(f"Let me see.\n{CALL}", size=size) == ("Let me see.\n", [("look", {"at": "sea"})])


def test_several_calls_are_read_in_order() -> None:
    assert [name for name, _ in read(f"{CALL}\n{CALL.replace('look', 'listen')}")[1]] == ["look", "listen"]


def test_only_the_first_of_several_where_they_are_not_wanted() -> None:
    assert len(read(f"{CALL}\n{CALL}", several=False)[1]) == 1


def test_a_call_that_is_not_closed_is_read_where_it_is_whole() -> None:
    assert read(CALL.removesuffix("</tool_call>"))[1] == [("look", {"at": "sea"})]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "look", "argu',
        "<tool_call>nonsense</tool_call>",
        '<tool_call>{"name": 5}</tool_call>',
        "a <tool",
        "<",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert read(text) == (text, [])


def test_arguments_reach_the_template_as_an_object() -> None:
    message = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": '{"at": "sea"}'}}]}
    assert for_template(message)["tool_calls"][0]["function"]["arguments"] == {"at": "sea"}


def test_arguments_that_are_no_json_reach_the_template_as_they_are() -> None:
    message = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "sea"}}]}
    assert for_template(message) == message


def test_a_template_has_tools_where_it_writes_calls_in_the_known_format() -> None:
    assert has_tools("{% if tools %}…<tool_call>…{% endif %}")
    assert not has_tools("{{ messages }}")
    assert not has_tools("{% if tools %}[TOOL_CALLS]{% endif %}")
