"""All walls stand for a service without privileges as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_suite_passes_as_an_ordinary_user() -> None:
    suite = [sys.executable, "-m", "pytest", "tests/sandbox", "-m", "not heavy", "-q"]
    process = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.ordinary_user", *suite], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-2000:]
