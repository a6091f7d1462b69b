"""What a row of a reinforcement fine-tuning dataset must be: a conversation that ends with the user's turn.

`messages` and `tools` are the reserved keys; every other key is the user's own, and reaches graders as part of `item`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from core.datasets.read import Problem, Row, quoted, read_lines
from core.errors import JobFailure

Json = dict[str, Any]

MAX_TRAINING_ROWS = 50_000
MAX_VALIDATION_ROWS = 1_000
MAX_PROBLEMS = 20

ROLES = ("developer", "system", "user", "assistant", "tool")
_UNSUPPORTED_PARTS = ("image_url", "input_image", "input_audio", "audio", "file", "input_file")


class InvalidDataset(JobFailure):
    """A file's content is no dataset; the message names the first bad lines."""

    code = "invalid_dataset"


@dataclass(frozen=True)
class Report:
    """What checking a file found: how many rows are good, and the first bad lines. Any problem makes the file unusable."""

    rows: int
    problems: tuple[Problem, ...]


def check_rows(stream: BinaryIO, max_rows: int) -> Report:
    """Check a whole file, holding one line at a time; stops at the first `MAX_PROBLEMS` problems."""
    rows = 0
    problems: list[Problem] = []
    for found in _checked(stream, max_rows):
        if isinstance(found, Problem):
            problems.append(found)
            if len(problems) == MAX_PROBLEMS:
                break
        else:
            rows += 1
    return Report(rows, tuple(problems))


def problems(stream: BinaryIO, max_rows: int) -> tuple[Problem, ...]:
    """The first `MAX_PROBLEMS` problems of a file; none where it is good."""
    return check_rows(stream, max_rows).problems


def load_rows(stream: BinaryIO, max_rows: int) -> list[Json]:
    """All rows of a file in order; raises `InvalidDataset` at the first problem."""
    rows = []
    for found in _checked(stream, max_rows):
        if isinstance(found, Problem):
            raise InvalidDataset(str(found))
        rows.append(found.value)
    return rows


def _checked(stream: BinaryIO, max_rows: int) -> Iterator[Row | Problem]:
    """Rows that keep the rules, and problems. An empty file is a problem, and so is the row after the last allowed one."""
    lines = 0
    for found in read_lines(stream):
        lines += 1
        if lines > max_rows:
            yield Problem(found.line, f"the file has more than {max_rows:,} rows")
            return
        message = row_problem(found.value) if isinstance(found, Row) else None
        yield found if message is None else Problem(found.line, message)
    if lines == 0:
        yield Problem(None, "The file is empty.")


def row_problem(row: Json) -> str | None:
    """What is wrong with a row, or None."""
    if "messages" not in row:
        return "'messages' is missing"
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        return "'messages' must be a list of at least one message"
    for index, message in enumerate(messages):
        problem = _message_problem(message)
        if problem:
            return f"'messages[{index}]{problem}"
    if messages[-1]["role"] != "user":
        return f"the last message must have the role 'user', not '{messages[-1]['role']}'"
    return _tools_problem(row.get("tools"))


def _message_problem(message: Any) -> str | None:
    """What follows `'messages[i]` in the text of the problem, or None."""
    if not isinstance(message, dict):
        return "' must be an object"
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        shown = f", not {quoted(role)}" if isinstance(role, str) else ""
        return f".role' must be one of {', '.join(ROLES)}{shown}"
    content = message.get("content")
    if isinstance(content, str) or (content is None and role == "assistant" and message.get("tool_calls")):
        return None
    if not isinstance(content, list) or not content:
        return ".content' must be a string or a list of text parts"
    for index, part in enumerate(content):
        problem = _part_problem(part)
        if problem:
            return f".content[{index}]{problem}"
    return None


def _part_problem(part: Any) -> str | None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return "' must be an object with a 'type'"
    if part["type"] in _UNSUPPORTED_PARTS:
        return f"' is of the type '{part['type']}', which is not supported by this service yet"
    if part["type"] != "text":
        return f".type' must be 'text', not {quoted(part['type'])}"
    if not isinstance(part.get("text"), str):
        return ".text' must be a string"
    return None


def _tools_problem(tools: Any) -> str | None:
    if tools is None:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return "'tools' must be a list of objects"
    return None
