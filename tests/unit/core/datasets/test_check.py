"""The rules of a reinforcement fine-tuning row, and of a file of them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from core.datasets.check import MAX_PROBLEMS, InvalidDataset, check_rows, load_rows, problems, row_problem
from core.datasets.read import Problem

USER = {"role": "user", "content": "Add 1 and 2."}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def jsonl(*rows: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def row(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def content(value: Any) -> dict[str, Any]:
    return row({"role": "user", "content": value})


@pytest.mark.parametrize(
    "value",
    [
        row(USER),
        row({"role": "developer", "content": "Be brief."}, USER),
        row({"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "3"}, USER),
        row(USER, {"role": "assistant", "content": "3", "weight": 0}, USER),
        row(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "3"}, USER),
        row(USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "3", "tool_call_id": "call_1"}, USER),
        content([{"type": "text", "text": "Add 1"}, {"type": "text", "text": " and 2."}]),
        row({**USER, "name": "ann"}),
        row(USER, tools=[{"type": "function", "function": {"name": "add"}}]),
        row(USER, tools=None),
        row(USER, reference_answer={"deep": [1, None, "x"]}, compliant="yes", item=3, sample="free"),
    ],
)
def test_good_rows(value: dict[str, Any]) -> None:
    assert row_problem(value) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "'messages' is missing"),
        ({"prompt": "Add"}, "'messages' is missing"),
        ({"messages": None}, "'messages' must be a list of at least one message"),
        ({"messages": "Add"}, "'messages' must be a list of at least one message"),
        ({"messages": {}}, "'messages' must be a list of at least one message"),
        (row(), "'messages' must be a list of at least one message"),
        (row("Add"), "'messages[0]' must be an object"),
        (row(USER, None), "'messages[1]' must be an object"),
        (row({"content": "Add"}), "'messages[0].role' must be one of developer, system, user, assistant, tool"),
        (row({**USER, "role": 1}), "'messages[0].role' must be one of developer, system, user, assistant, tool"),
        (row({**USER, "role": "bot"}), "'messages[0].role' must be one of developer, system, user, assistant, tool, not 'bot'"),
        (row({"role": "user"}), "'messages[0].content' must be a string or a list of text parts"),
        (content(None), "'messages[0].content' must be a string or a list of text parts"),
        (content(1), "'messages[0].content' must be a string or a list of text parts"),
        (content([]), "'messages[0].content' must be a string or a list of text parts"),
        (content({"type": "text"}), "'messages[0].content' must be a string or a list of text parts"),
        (content(["Add"]), "'messages[0].content[0]' must be an object with a 'type'"),
        (content([{"text": "Add"}]), "'messages[0].content[0]' must be an object with a 'type'"),
        (content([{"type": "text"}]), "'messages[0].content[0].text' must be a string"),
        (content([{"type": "sound"}]), "'messages[0].content[0].type' must be 'text', not 'sound'"),
        (row(USER, {"role": "assistant", "content": "3"}), "the last message must have the role 'user', not 'assistant'"),
        (row({"role": "system", "content": "x"}), "the last message must have the role 'user', not 'system'"),
        (row(USER, {"role": "assistant"}, USER), "'messages[1].content' must be a string or a list of text parts"),
        (row(USER, tools={}), "'tools' must be a list of objects"),
        (row(USER, tools=["add"]), "'tools' must be a list of objects"),
    ],
)
def test_bad_rows(value: dict[str, Any], message: str) -> None:
    assert row_problem(value) == message


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_parts_other_than_text_are_not_supported_yet(kind: str) -> None:
    expected = f"'messages[0].content[1]' is of the type '{kind}', which is not supported by this service yet"
    assert row_problem(content([{"type": "text", "text": "x"}, {"type": kind, kind: {}}])) == expected


def test_what_a_message_quotes_is_short() -> None:
    assert len(row_problem(row({**USER, "role": "x" * 100_000})) or "") < 200


def test_a_good_file_has_its_rows_counted() -> None:
    report = check_rows(jsonl(row(USER), row(USER)), 10)
    assert (report.rows, report.problems) == (2, ())


def test_problems_carry_line_numbers() -> None:
    assert problems(jsonl(row(USER), {}, row(USER), row()), 10) == (
        Problem(2, "'messages' is missing"),
        Problem(4, "'messages' must be a list of at least one message"),
    )


def test_faults_of_lines_and_of_rows_come_in_order() -> None:
    stream = io.BytesIO(b'{}\n{broken\n{"messages":[]}\n')
    assert [found.line for found in problems(stream, 10)] == [1, 2, 3]


def test_the_first_twenty_problems_are_kept() -> None:
    found = problems(jsonl(*[{}] * 50), 100)
    assert [problem.line for problem in found] == list(range(1, MAX_PROBLEMS + 1))


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_a_problem(raw: bytes) -> None:
    assert problems(io.BytesIO(raw), 10) == (Problem(None, "The file is empty."),)


def test_as_many_rows_as_allowed_are_accepted() -> None:
    assert check_rows(jsonl(*[row(USER)] * 1000), 1000).problems == ()


def test_one_row_more_is_a_problem() -> None:
    assert problems(jsonl(*[row(USER)] * 1001), 1000) == (Problem(1001, "the file has more than 1,000 rows"),)


def test_reading_stops_at_too_many_rows() -> None:
    stream = jsonl(*[row(USER)] * 100_000)
    check_rows(stream, 10)
    assert stream.tell() < 10_000


def test_load_gives_whole_rows_in_order() -> None:
    rows = [row(USER, answer=number) for number in range(5)]
    assert load_rows(jsonl(*rows), 10) == rows


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty."),
        (b'{"messages":[{"role":"user","content":"x"}]}\n{}\n', "Line 2: 'messages' is missing"),
        (b"{broken", "Line 1: the line is not valid JSON"),
    ],
)
def test_load_raises_at_the_first_problem(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidDataset) as caught:
        load_rows(io.BytesIO(raw), 10)
    assert caught.value.message.startswith(message)
