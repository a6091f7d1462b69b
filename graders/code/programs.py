"""The programs that sandboxes are given, and what they print read back."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from graders.base import Json, Program, ProgramResult

_HERE = Path(__file__).resolve().parent
_OUTPUT_BYTES = 4 << 20


def candidate_program(job: Json, seconds: float, memory_bytes: int) -> Program:
    """Runs a completion's code."""
    return Program(_source("candidate.py"), _sent(job), seconds, memory_bytes, _OUTPUT_BYTES)


def examiner_program(job: Json, seconds: float, memory_bytes: int) -> Program:
    """Runs a test module, without the code under test."""
    return Program(_source("examiner.py"), _sent(job), seconds, memory_bytes, _OUTPUT_BYTES)


def answers(result: ProgramResult) -> list[Json]:
    """The objects that a program printed, up to the first line that is none."""
    found: list[Json] = []
    for line in result.stdout.split("\n"):
        try:
            entry: Any = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(entry, dict):
            break
        found.append(entry)
    return found


def _sent(job: Json) -> str:
    return json.dumps(job)


@cache
def _source(name: str) -> str:
    """One file of what are two modules here: imports of the future stand at the top, and values need no import."""
    parts = [(_HERE / part).read_text("utf-8") for part in ("values.py", name)]
    lines = [line for part in parts for line in part.split("\n") if not line.startswith(("from __future__", "from graders."))]
    return "from __future__ import annotations\n" + "\n".join(lines)
