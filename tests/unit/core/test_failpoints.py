from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.failpoints import POINTS, Failpoint, hit, released

ROOT = Path(__file__).resolve().parents[3]


def run(tmp_path: Path, failpoint: str, code: str) -> subprocess.CompletedProcess[str]:
    environment = {"RFT_FAILPOINT": failpoint, "RFT_FAILPOINT_FILE": str(tmp_path / "reached"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)


def test_every_point_is_listed_and_every_listed_one_is_on_the_path() -> None:
    packages = ("api", "cli", "core", "graders", "worker")
    sources = [path.read_text(encoding="utf-8") for package in packages for path in (ROOT / package).rglob("*.py")]
    calls = [call for source in sources for call in re.findall(r"\bhit\((.*)\)$", source, re.MULTILINE)]
    named = {name for call in calls for name in re.findall(r'"(\w+)"', call) if name not in {"train", "valid"}}
    assert named == set(POINTS)


def test_nothing_happens_where_no_failpoint_is_set() -> None:
    hit("mid_sampling")


def test_it_kills_at_the_named_occurrence_and_only_once(tmp_path: Path) -> None:
    loop = "for i in range(3): print(i, flush=True); hit('before_export'); hit('mid_update')"
    code = f"from core.failpoints import hit\n{loop}"
    first = run(tmp_path, "mid_update:kill:2", code)
    assert (first.returncode, first.stdout.split()) == (-signal.SIGKILL, ["0", "1"])
    assert (tmp_path / "reached").read_text().isdigit()
    assert run(tmp_path, "mid_update:kill:2", code).returncode == 0


def test_a_held_process_goes_on_when_it_is_released(tmp_path: Path) -> None:
    released(tmp_path / "reached").touch()
    assert run(tmp_path, "mid_update:hold", "from core.failpoints import hit\nhit('mid_update')").returncode == 0
    assert (tmp_path / "reached").exists()


@pytest.mark.parametrize("text", ["nowhere:kill", "mid_update:explode", "mid_update", "mid_update:kill:x"])
def test_what_is_no_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFT_FAILPOINT|invalid literal"):
        Failpoint.parse(text, "file")


def test_a_failpoint_without_its_file_is_refused() -> None:
    with pytest.raises(ValueError, match="RFT_FAILPOINT_FILE"):
        Failpoint.parse("mid_update:kill", None)


def test_a_name_that_is_not_listed_is_refused_where_one_is_armed(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        Failpoint.parse("mid_update:kill", str(tmp_path / "reached")).reached("nowhere")
