"""How long a warm call of a python grader takes in the sandbox, and how many there are in a second.

Calls are those of jobs: `PythonGrader` over the client of the sandbox, one sample at a time for the latency, lots of 16 from four
threads for the rate. Peers are the limits; the same function called in this process is printed beside them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.check import Check
from graders.base import Grade, Sample
from graders.build import build
from graders.parts import GraderParts
from graders.sandbox.client import SandboxClient
from graders.sandbox.usercode import load_grader
from graders.spec import parse
from worker.grading import AT_ONCE, WORKERS

MEDIAN_MS, P99_MS, RATE = 5.0, 25.0, 400.0
CALLS, LOTS = 1000, 150
SOURCE = """
import re

def grade(sample, item):
    numbers = re.findall(r"-?\\d+(?:\\.\\d+)?", sample["output_text"].replace(",", ""))
    if not numbers:
        return 0.0
    near = abs(float(numbers[-1]) - item["answer"]) / max(abs(item["answer"]), 1)
    return 1.0 if near == 0 else max(0.0, 0.5 - near)
"""


def run() -> list[Check]:
    """All checks of this module."""
    sandbox = SandboxClient()
    try:
        grader = build(parse({"type": "python", "source": SOURCE}), GraderParts(lambda: sandbox))
        samples = [Sample({"answer": n}, f"First 3 + 4 = 7. So the answer is {n + n % 2}.") for n in range(CALLS)]
        assert all(isinstance(result, Grade) for result in grader.grade(samples[:64]))
        milliseconds = sorted(_milliseconds(partial(grader.grade, [sample])) for sample in samples)
        lots = [samples[:AT_ONCE]] * LOTS
        with ThreadPoolExecutor(WORKERS) as threads:
            seconds = _milliseconds(lambda: list(threads.map(grader.grade, lots))) / 1000
        level = sandbox.enforced().level
    finally:
        sandbox.close()
    median, p99, rate = statistics.median(milliseconds), milliseconds[int(CALLS * 0.99)], LOTS * AT_ONCE / seconds
    here = _in_process_ms(samples)
    print(f"python grader at level {level}: {median / here:.0f} times the {here * 1000:.1f} µs of the same call in process")
    return [
        Check("python_median", median, MEDIAN_MS, "ms", MEDIAN_MS / median),
        Check("python_p99", p99, P99_MS, "ms", P99_MS / p99),
        Check("python_rate", rate, RATE, "samples/s", rate / RATE),
    ]


def _in_process_ms(samples: list[Sample]) -> float:
    grade = load_grader(SOURCE)
    calls = [(sample.namespace(), sample.item) for sample in samples]
    return _milliseconds(lambda: [grade(*call) for call in calls]) / len(calls)


def _milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000
