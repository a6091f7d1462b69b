"""Programs that are kept running, and that never outlive their owner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.client import CommandFailed
from cli.topology import guard
from cli.topology.processes import Processes, Program

ROOT = Path(__file__).resolve().parents[4]
FOREVER = "import time, pathlib, sys; pathlib.Path(sys.argv[1]).write_text('here'); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


def program(code: str, *words: str, name: str = "program", restarts: bool = True, end: str = "TERM") -> Program:
    return Program(name, [sys.executable, "-c", code, *words], dict(os.environ), end=end, restarts=restarts)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.stop()


def below() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def gone(found: list[psutil.Process]) -> bool:
    return psutil.wait_procs(found, timeout=60)[1] == []


def test_stop_ends_all(processes: Processes, tmp_path: Path) -> None:
    before = below()
    for name in ("a", "b"):
        processes.start(program(FOREVER, str(tmp_path / name), name=name))
    processes.wait(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    found = [process for process in below() if process not in before]
    assert len(found) == 4
    processes.stop()
    assert gone(found)


def test_what_ends_while_it_is_waited_for_is_told_with_its_last_words(processes: Processes) -> None:
    processes.start(program("raise SystemExit('no such file')"))
    with pytest.raises(CommandFailed, match="program ended with status 1: no such file"):
        processes.wait(lambda: False)


def test_what_ends_later_is_started_again(processes: Processes, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    processes.start(program(FOREVER, str(mark)))
    processes.wait(mark.exists)
    mark.unlink()
    [killed] = [process for process in below() if process.children() and guard.__file__ in process.cmdline()]
    killed.children()[0].kill()
    processes.keep(until=mark.exists)
    assert mark.exists()


def test_the_end_of_what_is_not_started_again_is_the_end_of_all(processes: Processes) -> None:
    processes.start(program("", restarts=False))
    with pytest.raises(CommandFailed, match="ended with status 0"):
        processes.keep(until=lambda: False)


def test_the_asked_for_signal_ends_it(processes: Processes, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    polite = f"""
import signal, sys
def end(*_):
    open(sys.argv[1] + '.end', 'w').close()
    sys.exit(0)
signal.signal(signal.SIGINT, end)
{FOREVER}
"""
    processes.start(program(polite, str(mark), end="INT"))
    processes.wait(mark.exists)
    processes.stop()
    assert Path(f"{mark}.end").exists()


def test_nothing_outlives_a_killed_owner(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from cli.topology.processes import Processes, Program
processes = Processes(Path({str(tmp_path)!r}))
processes.start(Program("program", [sys.executable, "-c", {FOREVER!r}, {str(mark)!r}], {{}}))
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as owner:
        while not mark.exists():
            assert owner.poll() is None
            time.sleep(0.02)
        found = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
    assert len(found) == 2
    assert gone(found)


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = "from cli.topology import guard; guard._GRACE_SECONDS = 0.2; raise SystemExit(guard.main())"
    argv = [sys.executable, "-c", code, "TERM", sys.executable, "-c", STUBBORN, str(mark)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE) as guarding:
        while not mark.exists():
            assert guarding.poll() is None
            time.sleep(0.02)
        found = psutil.Process(guarding.pid).children()
        assert guarding.stdin is not None
        guarding.stdin.close()
        assert guarding.wait(60) == 128 + 9
    assert gone(found)
