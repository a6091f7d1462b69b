"""Running a user's code in this process: in the zygote while it loads, and in its forks. Standard library only."""

from __future__ import annotations

import importlib
import linecache
import numbers
import os
import random
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_GRADER_FILE = "grader.py"
_PROGRAM_FILE = "program.py"
_ERROR_CHARACTERS = 2000
_OFTEN_IMPORTED = (
    "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools", "heapq", "itertools", "json",
    "math", "operator", "re", "statistics", "string", "typing",
)  # fmt: skip

Grade = Callable[[Any, Any], Any]


def load_grader(source: str) -> Grade:
    """Execute the source as a module named `grader` and return its `grade`. Raises whatever the source raises."""
    module = types.ModuleType("grader")
    module.__file__ = _GRADER_FILE
    sys.modules["grader"] = module
    # Tracebacks and inspect.getsource find the text here.
    linecache.cache[_GRADER_FILE] = (len(source), None, source.splitlines(keepends=True), _GRADER_FILE)
    random.seed(0)
    exec(compile(source, _GRADER_FILE, "exec"), module.__dict__)  # noqa: S102 - this is what the process is for
    grade = module.__dict__.get("grade")
    if not callable(grade):
        raise TypeError("the source does not define a function grade(sample, item)")
    return grade  # type: ignore[no-any-return]


def prepare_program() -> Grade:
    """Load what programs often import, so that each has it at once. There is nothing to grade with."""
    for name in _OFTEN_IMPORTED:
        importlib.import_module(name)
    random.seed(0)

    def grade(_sample: Any, _item: Any) -> Any:
        raise TypeError("this is no grader")

    return grade


class Chance:
    """Random numbers are the same in every call and in every run of a job, so that grades are too."""

    def __init__(self) -> None:
        """Keep the state after loading: seed 0, or what the source made of it."""
        self._state = random.getstate()

    def restore(self) -> None:
        """In the child: `random` draws a new seed in every fork, numpy has one from the system."""
        random.setstate(self._state)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(0)


def run_program(source: str, stdin: str) -> None:
    """Execute a script as `python program.py` would, and leave the rest to the interpreter's exit. Raises `SystemExit`."""
    _replace_streams(stdin)
    module = types.ModuleType("__main__")
    module.__file__ = _PROGRAM_FILE
    sys.modules["__main__"] = module
    sys.argv = [_PROGRAM_FILE]
    linecache.cache[_PROGRAM_FILE] = (len(source), None, source.splitlines(keepends=True), _PROGRAM_FILE)
    try:
        exec(compile(source, _PROGRAM_FILE, "exec"), module.__dict__)  # noqa: S102 - this is what the process is for
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever ends a script is shown as Python shows it
        sys.stderr.write("".join(traceback.format_exception(type(error), error, users_frames(error))))
        sys.exit(1)


def _replace_streams(stdin: str) -> None:
    handle = os.open("stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("stdin")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(stdin.encode("utf-8", "surrogateescape"))
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    os.close(handle)
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def plain_number(value: Any) -> Any:
    """The value as a bool, int or float. Raises `TypeError` for everything else, strings that look like numbers included."""
    if type(value) in (bool, int, float):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"grade must return a number, not {type(value).__name__}")


def error_text(error: BaseException) -> str:
    """The last lines of the traceback, without the sandbox's own frames."""
    try:
        text = "".join(traceback.format_exception(type(error), error, users_frames(error)))
    except BaseException:  # noqa: BLE001 - not even the memory for a traceback
        text = type(error).__name__
    return text.strip()[-_ERROR_CHARACTERS:]


def users_frames(error: BaseException) -> Any:
    """The traceback from the user's first frame on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    return frames
