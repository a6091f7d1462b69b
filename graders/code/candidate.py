"""The program that runs a completion's code. It never sees an expected value: it is given inputs, and prints what came of them.

It stands alone in a sandbox: standard library only, the text of `values.py` in front of it. Standard input holds one JSON object,
`{"source", "kind", "tests", "seconds", "output"}`; a line of JSON is printed for every test. The code under test shares
this process or forks from it and may print such lines itself: that changes what it is taken to have answered, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import CodeType, FrameType
from typing import Any, TextIO

from graders.code.values import NotPlain, decode, encode

Json = dict[str, Any]

MOST_TIMEOUTS = 3
LAST_LINES = 2000


class OutOfTime(BaseException):
    """A call took too long."""


def main() -> None:
    """Compile, then run every test."""
    job = json.loads(sys.stdin.buffer.read())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    with open(os.devnull, "r+b", buffering=0) as null:  # noqa: PTH123
        for descriptor in (0, 1, 2):
            os.dup2(null.fileno(), descriptor)
    try:
        code = compile(job["source"], "solution.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        answer(answers, {"compile": last_words(error)})
        return
    if job["kind"] == "stdin":
        run_all(answers, job, lambda test: as_program(code, test["stdin"]))
    else:
        run_functions(answers, job, code)


def run_functions(answers: TextIO, job: Json, code: CodeType) -> None:
    """Load the module once, in this process. Calls of one `sequence` share it; separate `calls` get a fork each."""
    namespace: Json = {"__name__": "solution", "__builtins__": __builtins__}
    try:
        with limit(job["seconds"]):
            exec(code, namespace)  # noqa: S102
    except BaseException as error:  # noqa: BLE001
        answer(answers, {"load": "time" if isinstance(error, OutOfTime) else last_words(error)})
        return
    if job["kind"] == "calls":
        run_all(answers, job, lambda test: as_call(namespace, test))
    else:
        run_sequence(answers, job, namespace)


def run_sequence(answers: TextIO, job: Json, namespace: Json) -> None:
    """Calls that follow each other; objects stay here, and are named by the number of the call that made them."""
    objects: dict[int, Any] = {}
    timeouts = 0
    for number, call in enumerate(job["tests"]):
        if timeouts == MOST_TIMEOUTS:
            answer(answers, {"error": "OutOfTime", "message": "too many calls took too long"})
            continue
        try:
            with limit(job["seconds"]):
                result = plain_or_kept(apply(call, namespace, objects), objects, number)
        except BaseException as error:  # noqa: BLE001
            timeouts += isinstance(error, OutOfTime)
            result = {"error": type(error).__name__, "message": str(error)[:500]}
        answer(answers, result)


def plain_or_kept(value: Any, objects: dict[int, Any], number: int) -> Json:
    """A value as it crosses; what cannot cross stays, and its number crosses."""
    try:
        return {"value": encode(value)}
    except (NotPlain, RecursionError):
        objects[number] = value
        return {"object": number}


def apply(call: Json, namespace: Json, objects: dict[int, Any]) -> Any:
    """One call of a function, a class or an object's method."""

    def argument(data: Any) -> Any:
        return objects[data["object"]] if isinstance(data, dict) and "object" in data else decode(data)

    target = find(namespace, call["name"]) if call["object"] is None else getattr(objects[call["object"]], call["name"])
    return target(*map(argument, call["args"]), **{name: argument(data) for name, data in call["kwargs"].items()})


def as_program(code: CodeType, stdin: str) -> None:
    """Run the code as a script, its standard input a file."""
    with tempfile.TemporaryFile() as file:
        file.write(stdin.encode("utf-8", "surrogatepass"))
        file.seek(0)
        os.dup2(file.fileno(), 0)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.argv = ["solution.py"]
    exec(code, {"__name__": "__main__", "__builtins__": __builtins__})  # noqa: S102
    sys.stdout.flush()


def as_call(namespace: Json, test: Json) -> None:
    """Call `f` or, of a fresh object, `Class.method`, and print the result."""
    owner, _, method = test["name"].rpartition(".")
    function = getattr(find(namespace, owner)(), method) if owner else find(namespace, method)
    value = function(*map(decode, test["args"]), **{name: decode(data) for name, data in test["kwargs"].items()})
    os.write(1, json.dumps(encode(value)).encode())


def find(namespace: Json, name: str) -> Any:
    """A function or class that the code defines."""
    if name not in namespace:
        raise NameError(f"name '{name}' is not defined")
    return namespace[name]


def run_all(answers: TextIO, job: Json, body: Callable[[Json], None]) -> None:
    """Each test in a fork of its own; after a few that took too long the rest are not begun."""
    timeouts = 0
    for test in job["tests"]:
        if timeouts == MOST_TIMEOUTS:
            result = {"status": "skipped"}
        else:
            result = in_a_fork(partial(body, test), job["seconds"], job["output"])
            timeouts += result["status"] == "time"
        answer(answers, result)


def in_a_fork(body: Callable[[], None], seconds: float, limit_bytes: int) -> Json:
    """What a function prints, how it ends, and what it takes."""
    reads, writes = zip(os.pipe(), os.pipe(), strict=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        run_child(body, reads, writes)
    for descriptor in writes:
        os.close(descriptor)
    outputs, intime = collect(reads, begun + seconds, limit_bytes)
    if not intime:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    for descriptor in reads:
        os.close(descriptor)
    out, err = (bytes(output).decode("utf-8", "replace") for output in outputs)
    ending = "time" if not intime else "memory" if "MemoryError" in err else "ok" if status == 0 else "error"
    return {
        "status": ending,
        "out": out,
        "err": err[-LAST_LINES:],
        "seconds": time.monotonic() - begun,
        "memory": usage.ru_maxrss * 1024,
    }


def run_child(body: Callable[[], None], reads: Sequence[int], writes: Sequence[int]) -> None:
    """Does not return."""
    ending = 1
    try:
        os.setsid()
        os.dup2(writes[0], 1)
        os.dup2(writes[1], 2)
        for descriptor in (*reads, *writes):
            os.close(descriptor)
        try:
            body()
            ending = 0
        except SystemExit as leaving:
            sys.stdout.flush()
            ending = 0 if leaving.code in (None, 0) else 1
        except BaseException as error:  # noqa: BLE001
            os.write(2, last_words(error).encode("utf-8", "replace"))
    finally:
        os._exit(ending)


def collect(reads: Sequence[int], deadline: float, limit_bytes: int) -> tuple[list[bytearray], bool]:
    """Read both outputs to their end; what goes beyond the limit is dropped. False where time ran out."""
    outputs, open_ = {descriptor: bytearray() for descriptor in reads}, set(reads)
    while open_:
        remaining = deadline - time.monotonic()
        ready = select.select(list(open_), [], [], remaining)[0] if remaining > 0 else []
        if not ready:
            return list(outputs.values()), False
        for descriptor in ready:
            part = os.read(descriptor, 1 << 16)
            outputs[descriptor] += part[: max(limit_bytes - len(outputs[descriptor]), 0)]
            if not part:
                open_.discard(descriptor)
    return list(outputs.values()), True


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in what runs too long. What swallows that is ended with the whole program."""

    def run_out(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, run_out)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def last_words(error: BaseException) -> str:
    """The error, and the line of the code under test where it arose."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "solution.py"]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{''.join(traceback.format_exception_only(error)).strip()}{where}"[-LAST_LINES:]


def answer(answers: TextIO, result: Json) -> None:
    """One line."""
    answers.write(json.dumps(result, ensure_ascii=False) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
