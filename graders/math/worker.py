"""A process that compares expressions, one request a line, until standard input ends.

    python -m graders.math.worker MEMORY_BYTES CPU_SECONDS

A request is `{"text", "reference", "precision", "strict"}`, an answer `{"equal", "answered", "readable"}` or `{"failure"}`, JSON
both. The text is a model's and as hostile as can be: it reaches SymPy through math-verify's grammar and never `eval`, but it can
ask for astronomic work. So the process has no environment, no network where the kernel grants that, no new files, little memory,
and a clock on every request; its owner kills it where even that does not help.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import resource
import signal
import sys
from functools import lru_cache
from types import FrameType
from typing import Any, BinaryIO

Json = dict[str, Any]

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_NO_NEW_PRIVS = 38
_RECYCLE_SHARE = 0.6
"""Of its memory, after which the process ends of its own accord: caches grow."""
_LAST_ALARM = 60.0
"""Seconds of wall time after which the kernel ends a request whose owner is gone."""
_DELIMITERS = re.compile(r"\$|\\\(|\\\[|\\boxed|####")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mbox|begin|end|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_NUMBER = re.compile(r"\s*-?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?\s*", re.ASCII)
_WORD = re.compile(r"[A-Za-z]{2,}")


class OutOfTime(BaseException):
    """The clock of a request ran out. Not an `Exception`: libraries that catch everything must not catch this."""


def main() -> None:
    """Wall this process in, then answer."""
    memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    _silence()
    _warm()
    _confine(memory)
    answers.write(b"ready\n")
    answers.flush()
    _serve(requests, answers, seconds, memory)


def _serve(requests: BinaryIO, answers: BinaryIO, seconds: float, memory: int) -> None:
    signal.signal(signal.SIGVTALRM, _run_out)
    for line in requests:
        answers.write(json.dumps(_timed(json.loads(line), seconds)).encode() + b"\n")
        answers.flush()
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > memory * _RECYCLE_SHARE:
            return


def _run_out(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTime


def _timed(request: Json, seconds: float) -> Json:
    """Compare within so much processor time. The clock ticks on, should something swallow its first exception."""
    signal.setitimer(signal.ITIMER_REAL, _LAST_ALARM)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.1)
        try:
            return compare(**request)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except OutOfTime:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return {"failure": "time"}
    except MemoryError:
        return {"failure": "memory"}
    except RecursionError:
        return {"failure": "depth"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def compare(text: str, reference: str, precision: int, strict: bool) -> Json:
    """math-verify's verdict: `readable` says that the reference is mathematics, `answered` that the text holds an answer."""
    from math_verify import verify

    gold = _gold(reference)
    if not gold:
        return {"equal": False, "answered": False, "readable": False}
    answer = _parse(text)
    equal = bool(answer) and verify(gold, answer, float_rounding=precision, strict=strict, timeout_seconds=None)
    return {"equal": bool(equal), "answered": bool(answer), "readable": True}


@lru_cache(maxsize=4096)
def _gold(reference: str) -> list[Any]:
    """A reference without delimiters is read as LaTeX where it is a formula, as prose where it holds words.

    Kept, because all samples of a group have the same one.
    """
    as_formula = f"${reference.strip()}$"
    if _DELIMITERS.search(reference) or _NUMBER.fullmatch(reference):
        return _parse(reference)
    if _WORD.search(_TEXT_COMMAND.sub(" ", reference)):
        return _parse(reference) or _parse(as_formula)
    return _parse(as_formula) or _parse(reference)


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    expressions: list[Any] = parse(text, parsing_timeout=None)
    return expressions


def _silence() -> None:
    """Whatever libraries print goes nowhere: standard output carries answers."""
    logging.disable(logging.CRITICAL)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _warm() -> None:
    """Load the libraries and the grammar's tables."""
    for text in ("$\\frac{1}{2}$", "$x^2 + 3x = \\sqrt{5}$", "$(1, 2]$", "$\\{1, 2\\}$", "$50\\%$", "so it is 1,000"):
        compare(text, text, 6, True)


def _confine(memory: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Refused in some containers: then the process keeps the network, and the other walls.
    libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(kind)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
