"""What `rft doctor` tries: without walls everything gets through; what a level promises to stop is stopped."""

from __future__ import annotations

import os
from functools import cache

import pytest

from graders.sandbox.levels import LEVELS, Level
from graders.sandbox.probes import PROBES, Finding, examine

BY_ITSELF = {probe.attempt for probe in PROBES if probe.promised is Level.NONE} | {"print without end"}
"""What is stopped by nothing but running elsewhere, and so at every level."""


@cache
def findings(level: Level) -> list[Finding]:
    return examine(level=level)[1]


@pytest.mark.parametrize("level", LEVELS)
def test_every_promise_holds(level: Level) -> None:
    assert [finding for finding in findings(level) if finding.promised and not finding.held] == []


def test_without_walls_every_attempt_works() -> None:
    held = [finding for finding in findings(Level.NONE) if finding.held and finding.attempt not in BY_ITSELF]
    # A slow disk may be too slow for the time limit; nobody but root mounts without a namespace.
    excused = [] if os.getuid() == 0 else ["mount a file system"]
    assert [finding for finding in held if "ran longer" not in finding.detail and finding.attempt not in excused] == []
