"""What comes out of a sandbox, checked: frames from hostile hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_ERROR_CHARACTERS = 2000


@dataclass(frozen=True)
class Exit:
    """How a call's process ended, as its zygote says."""

    status: int
    """An exit code, or a signal's number below zero."""
    pid: int
    peak_bytes: int


def exit_of(reply: Any) -> Exit | None:
    """The end that a frame tells of, if it is such a frame."""
    match reply:
        case {"status": int() as status, "pid": int() as pid, "peak": int() as peak}:
            return Exit(status, pid, peak)
    return None


def checked_value(reply: Any, nonce: str) -> Json:
    """{"value": number}, only with the call's own nonce, or {"error": text}."""
    match reply:
        case {"value": bool() | int() | float() as value, "nonce": str() as given} if given == nonce:
            return {"value": value}
        case {"error": str() as text}:
            return {"error": text[-_ERROR_CHARACTERS:]}
    return {"error": "the grader's process sent no valid result"}


def program_result(end: Exit | None, texts: Sequence[str], seconds: float, *, out_of_memory: bool) -> Json:
    """The fields of a `ProgramResult`; without an end its time was over."""
    stdout, stderr = texts
    code = end.status if end is not None and end.status >= 0 else None
    # What Python says last when an allocation beyond the limit fails.
    last_line = stderr.rstrip().rpartition("\n")[2]
    return {
        "exit_code": code,
        "stdout": stdout,
        "stderr": stderr,
        "timed_out": end is None,
        "out_of_memory": out_of_memory or (code == 1 and last_line.startswith("MemoryError")),
        "seconds": seconds,
        "peak_memory_bytes": 0 if end is None else end.peak_bytes,
    }
