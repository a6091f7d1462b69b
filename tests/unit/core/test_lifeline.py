from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from core.lifeline import OWNER_GONE, Lifeline

ROOT = Path(__file__).resolve().parents[3]
MARKS = "import sys, time; from core.lifeline import mark_progress; mark_progress(); time.sleep(600)"
WAITS = "import time; from core.lifeline import exit_with_owner; exit_with_owner(); time.sleep(600)"


def child(line: Lifeline, code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=line.of_child.fileno(), cwd=ROOT)
    line.started()
    return process


def test_a_child_has_its_start_before_it_can_stall() -> None:
    line = Lifeline(patience=0.0)
    assert not line.stalled()
    line.of_child.close()
    line.close()


def test_a_child_that_shows_no_more_progress_has_stalled() -> None:
    line = Lifeline(patience=0.2)
    with child(line, MARKS) as process:
        give_up = time.monotonic() + 60
        while not line.stalled():
            assert time.monotonic() < give_up
            time.sleep(0.01)
        assert process.poll() is None
        process.kill()
    line.close()


def test_a_child_ends_when_its_owner_lets_go() -> None:
    line = Lifeline(patience=60.0)
    with child(line, WAITS) as process:
        line.close()
        assert process.wait(60) == OWNER_GONE


def test_marking_without_an_owner_does_nothing() -> None:
    command = [sys.executable, "-c", "from core.lifeline import mark_progress; mark_progress()"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, cwd=ROOT).returncode == 0


def test_a_child_ends_when_its_owner_dies_with_signs_unread() -> None:
    ours, of_child = socket.socketpair()
    imports = "import time; from core.lifeline import exit_with_owner, mark_progress"
    code = f"{imports}; exit_with_owner(); mark_progress(); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=of_child.fileno(), cwd=ROOT) as process:
        of_child.close()
        assert ours.recv(1, socket.MSG_PEEK)
        ours.close()
        assert process.wait(60) == OWNER_GONE
