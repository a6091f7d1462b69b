"""Graders: one check a line, from the modules that measure them."""

from __future__ import annotations

from benchmarks import sandbox_calls, verifiers
from benchmarks.check import Check
from benchmarks.judge_overlap import judge_overlap


def run() -> list[Check]:
    """All checks."""
    return [*sandbox_calls.run(), *verifiers.run(), judge_overlap()]
