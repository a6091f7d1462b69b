from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from math_verify import parse, verify

from benchmarks.math_pairs import BOMBS, DIFFERENT, EQUAL, gsm8k, math_like
from graders.math.pool import LIMIT_SECONDS, Comparison, MathPool


@pytest.fixture(scope="module")
def pool() -> Iterator[MathPool]:
    pool = MathPool()
    yield pool
    pool.close()


@pytest.mark.parametrize(("answer", "reference"), EQUAL)
def test_equal_answers(pool: MathPool, answer: str, reference: str) -> None:
    [verdict] = pool.compare([Comparison(f"Therefore the answer is {answer}", reference)])
    assert (verdict.equal, verdict.failure) == (True, None)


@pytest.mark.parametrize(("answer", "reference"), DIFFERENT)
def test_different_answers(pool: MathPool, answer: str, reference: str) -> None:
    [verdict] = pool.compare([Comparison(f"Therefore the answer is {answer}", reference)])
    assert (verdict.equal, verdict.failure) == (False, None)


def test_the_library_says_the_same_of_math_like_pairs(pool: MathPool) -> None:
    # Some of them: `make bench NAME=graders` compares all.
    pairs = [(text, reference) for text, reference in math_like() if "dollars" not in reference][::4]
    ours = [verdict.equal for verdict in pool.compare([Comparison(*pair) for pair in pairs])]
    assert ours == [verify(parse(f"${reference}$"), parse(text)) for text, reference in pairs]


def test_the_library_says_the_same_of_sums_in_words(pool: MathPool) -> None:
    rows = [
        (f"She has {n} + {n + 1} = <<{n}+{n + 1}={2 * n + 1}>>{2 * n + 1} hats.\n#### {2 * n + 1:,}", n) for n in range(490, 510)
    ]
    pairs = [*gsm8k()[:40], *((text, str(2 * n + n % 2)) for text, n in rows)]
    ours = [verdict.equal for verdict in pool.compare([Comparison(*pair) for pair in pairs])]
    assert ours == [verify(parse(reference), parse(text)) for text, reference in pairs]


def test_astronomic_work_ends_within_the_limit(pool: MathPool) -> None:
    verdicts = pool.compare([Comparison(bomb, "7") for bomb in BOMBS[:4]])
    assert {verdict.failure for verdict in verdicts} == {"time"}
    assert max(verdict.seconds for verdict in verdicts) < LIMIT_SECONDS


def test_a_bomb_costs_its_own_sample_only(pool: MathPool) -> None:
    honest, bomb = Comparison("$0.5$", "1/2"), Comparison("$1000000000!$", "1/2")
    verdicts = pool.compare([honest, bomb, honest, honest])
    assert [(verdict.equal, verdict.failure) for verdict in verdicts] == [
        (True, None),
        (False, "time"),
        (True, None),
        (True, None),
    ]


def test_a_killed_worker_is_replaced() -> None:
    pool = MathPool(1)
    comparison = Comparison("$0.5$", "1/2")
    pool.compare([comparison])
    [process] = [worker._process for worker in pool._workers]
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    [verdict] = pool.compare([comparison])
    pool.close()
    assert verdict.equal


def test_workers_end_with_the_pool() -> None:
    pool = MathPool(1)
    pool.compare([Comparison("1", "1")])
    [process] = [worker._process for worker in pool._workers]
    pool.close()
    assert process is not None
    assert process.poll() is not None


def test_a_worker_has_nothing_of_its_owners_environment(pool: MathPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RFT_ADMIN_KEY", "secret")
    fresh = MathPool(1)
    fresh.compare([Comparison("1", "1")])
    [process] = [worker._process for worker in fresh._workers]
    assert process is not None
    held = Path(f"/proc/{process.pid}/environ").read_bytes()
    fresh.close()
    assert b"secret" not in held


def test_many_comparisons_at_once_keep_their_order(pool: MathPool) -> None:
    verdicts = pool.compare([Comparison(f"so {n}", "7") for n in range(40)])
    assert [index for index, verdict in enumerate(verdicts) if verdict.equal] == [7]


def test_precision_is_in_decimals(pool: MathPool) -> None:
    loose, tight = pool.compare([Comparison("0.333", "1/3", precision=3), Comparison("0.333", "1/3", precision=4)])
    assert (loose.equal, tight.equal) == (True, False)


def test_strict_tells_variables_apart(pool: MathPool) -> None:
    strict, lax = pool.compare([Comparison("$x + 1$", "y + 1", strict=flag) for flag in (True, False)])
    assert (strict.equal, lax.equal) == (False, True)


def test_a_worker_whose_owner_is_gone_ends(pool: MathPool) -> None:
    fresh = MathPool(1)
    fresh.compare([Comparison("1", "1")])
    [process] = [worker._process for worker in fresh._workers]
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is not None
    fresh.close()
