"""What a completion's code came to, test by test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TestOutcome:
    """One test."""

    name: str
    passed: bool
    reason: str = ""
    """Why not, in the code's own words where it has some."""
    seconds: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True)
class CodeOutcome:
    """All tests of one completion; `failure` where they could not be run at all, for no fault of the completion."""

    tests: list[TestOutcome]
    trouble: str = ""
    """What stopped the code before any test: that it does not compile, that its module cannot be loaded."""
    failure: str | None = None
    seconds: float = 0.0
