"""`rft doctor` on this host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.grader_service import grader_service

ROOT = Path(__file__).resolve().parents[3]
DOCTOR = [sys.executable, "-m", "cli.main", "doctor"]


def run(*arguments: str, as_user: bool = False, **settings: str) -> subprocess.CompletedProcess[str]:
    prefix = [sys.executable, "-m", "tests.sandbox.ordinary_user"] if as_user else []
    environment = {**os.environ, **{f"RFT_{name.upper()}": value for name, value in settings.items()}}
    return subprocess.run([*prefix, *DOCTOR, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def report(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer


@pytest.mark.parametrize("as_user", [False, True], ids=["as it is", "as an ordinary user"])
def test_a_sound_host_passes(as_user: bool) -> None:
    process = run("--json", as_user=as_user, sandbox_level="strict")
    found = report(process)
    assert (process.returncode, found["ok"], found["level"]) == (0, True, "strict")
    assert all(wall["held"] for wall in found["walls"])


def test_the_table_names_level_and_attempts() -> None:
    process = run()
    assert process.returncode == 0
    assert "Sandbox level strict" in process.stdout
    assert "all that this level promises" in process.stdout


def test_without_a_sandbox_it_fails() -> None:
    process = run("--json", grader_python="/no/such/python")
    assert process.returncode == 1
    assert (report(process)["ok"], report(process)["level"]) == (False, None)
    assert "does not start" in report(process)["reason"]


def test_a_grader_service_is_asked_for_its_level() -> None:
    with grader_service() as service:
        process = run("--json", grader_socket=str(service.path))
    found = report(process)
    assert (process.returncode, found["level"], found["service"], found["walls"]) == (0, "strict", str(service.path), [])


def test_a_grader_service_that_is_not_there_is_no_sandbox(tmp_path: Path) -> None:
    process = run(grader_socket=str(tmp_path / "s"))
    assert process.returncode == 1
    assert "No sandbox" in process.stdout
