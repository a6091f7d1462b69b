"""How fast graders outside the sandbox are, and whether `math` says what its library says."""

from __future__ import annotations

import time
from collections.abc import Callable

from math_verify import parse as parse_math
from math_verify import verify

from benchmarks.check import Check
from benchmarks.math_pairs import BOMBS, gsm8k, math_like, mixed
from graders.base import Sample, Sandbox
from graders.build import build
from graders.math.pool import LIMIT_SECONDS, Comparison, MathPool
from graders.parts import GraderParts
from graders.spec import parse

SAMPLES, ROUNDS = 10_000, 5
MULTI_RATE, MATH_RATE = 20_000.0, 300.0
FOUR_CHEAP = {
    "type": "multi",
    "graders": {
        "right": {
            "type": "string_check",
            "input": "{{ sample.output_text }}",
            "reference": "{{ item.answer }}",
            "operation": "eq",
        },
        "holds": {
            "type": "string_check",
            "input": "{{ sample.output_text }}",
            "reference": "{{ item.answer }}",
            "operation": "ilike",
        },
        "close": {
            "type": "text_similarity",
            "input": "{{ sample.output_text }}",
            "reference": "The answer is {{ item.answer }}.",
            "evaluation_metric": "fuzzy_match",
        },
        "reasoned": {
            "type": "string_check",
            "input": "{{ sample.choices[0].message.content }}",
            "reference": "because",
            "operation": "like",
        },
    },
    "calculate_output": "0.5 * right + 0.2 * holds + 0.2 * close + 0.1 * max(reasoned, right)",
}


def run() -> list[Check]:
    """All checks of this module."""
    pool = MathPool()
    pool.compare([Comparison("$1$", "1")] * 8)
    try:
        return [multi_rate(), math_rate(pool), math_agreement(pool), math_limit(pool)]
    finally:
        pool.close()


def multi_rate() -> Check:
    """Samples a second through a multi grader of four cheap members, on one core; each member's grade is counted with it."""
    grader = build(parse(FOUR_CHEAP), GraderParts(_no_sandbox))
    samples = [Sample({"answer": n}, f"I think that the answer is {n * 7 % 11}, because it is so.") for n in range(SAMPLES)]
    seconds = min(_timed(lambda: grader.grade(samples)) for _ in range(ROUNDS))
    return Check("multi_rate", SAMPLES / seconds, MULTI_RATE, "samples/s", SAMPLES / seconds / MULTI_RATE)


def math_rate(pool: MathPool) -> Check:
    """Comparisons a second, of GSM8K's solutions (where the data set is at hand) and MATH-like answers, on all cores."""
    comparisons = [Comparison(*pair) for pair in mixed(4000)]
    seconds = _timed(lambda: pool.compare(comparisons))
    return Check("math_rate", len(comparisons) / seconds, MATH_RATE, "checks/s", len(comparisons) / seconds / MATH_RATE)


def math_agreement(pool: MathPool) -> Check:
    """The share of verdicts that are the library's own."""
    words = gsm8k()
    if not words:
        print("  math_agreement: GSM8K does not lie beside the checkout; MATH-like pairs only")
    formulas = [(text, reference) for text, reference in math_like() if "dollars" not in reference]
    library = [verify(parse_math(reference), parse_math(text)) for text, reference in words]
    library += [verify(parse_math(f"${reference}$"), parse_math(text)) for text, reference in formulas]
    ours = [verdict.equal for verdict in pool.compare([Comparison(*pair) for pair in words + formulas])]
    share = sum(mine == theirs for mine, theirs in zip(ours, library, strict=True)) / len(library)
    return Check("math_agreement", share, 1.0, "share", share)


def math_limit(pool: MathPool) -> Check:
    """The longest comparison among inputs that ask for astronomic work, as text and as reference, against the limit."""
    verdicts = pool.compare([Comparison(bomb, "7") for bomb in BOMBS] + [Comparison("$7$", bomb) for bomb in BOMBS])
    longest = max(verdict.seconds for verdict in verdicts)
    return Check("math_limit", longest, LIMIT_SECONDS, "s", LIMIT_SECONDS / longest)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _no_sandbox() -> Sandbox:
    raise AssertionError("no member of this grader runs in a sandbox")
