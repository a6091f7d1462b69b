from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import Unavailable
from core.processes import SocketService

ECHO = """
import os, socket, sys, threading
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
def serve():
    while True:
        connection, _ = listener.accept()
        try:
            connection.sendall(str(os.getpid()).encode())
        except BrokenPipeError:
            pass  # somebody only asked whether we listen
        connection.close()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def echo() -> Iterator[SocketService]:
    service = SocketService([sys.executable, "-c", ECHO, "{socket}"])
    yield service
    service.close()


def listens(path: Path) -> bool:
    """Whether somebody still listens: the last thread of a killed process may go later than its first."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def pid_behind(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        return int(connection.recv(100))


def test_nothing_runs_before_it_is_needed(echo: SocketService) -> None:
    assert echo.pid is None


def test_the_socket_answers(echo: SocketService) -> None:
    assert pid_behind(echo.ensure()) == echo.pid


def test_one_process_serves_all_calls(echo: SocketService) -> None:
    assert pid_behind(echo.ensure()) == pid_behind(echo.ensure())


def test_threads_share_one_process(echo: SocketService) -> None:
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(pid_behind(echo.ensure()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pids == [echo.pid] * 8


def test_a_killed_process_is_started_again(echo: SocketService) -> None:
    path = echo.ensure()
    first = pid_behind(path)
    os.kill(first, signal.SIGKILL)
    while listens(path):
        time.sleep(0.01)
    assert pid_behind(echo.ensure()) != first


def test_close_ends_the_process(echo: SocketService) -> None:
    pid = pid_behind(echo.ensure())
    echo.close()
    assert not psutil.pid_exists(pid)


def test_close_removes_the_directory(echo: SocketService) -> None:
    directory = echo.ensure().parent
    echo.close()
    assert not directory.exists()


def test_after_close_it_starts_anew(echo: SocketService) -> None:
    first = pid_behind(echo.ensure())
    echo.close()
    assert pid_behind(echo.ensure()) != first


def test_closing_twice_does_no_harm(echo: SocketService) -> None:
    echo.ensure()
    echo.close()
    echo.close()


def test_only_the_owner_can_reach_the_socket(echo: SocketService) -> None:
    assert echo.ensure().parent.stat().st_mode & 0o777 == 0o700


def test_the_path_is_short_enough_below_a_long_temporary_directory(
    echo: SocketService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert pid_behind(echo.ensure()) == echo.pid


def test_a_process_that_ignores_the_end_of_its_input_is_killed() -> None:
    stubborn = ECHO.replace("sys.stdin.read()", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")
    service = SocketService([sys.executable, "-c", stubborn, "{socket}"], stop_seconds=0.2)
    pid = pid_behind(service.ensure())
    service.close()
    assert not psutil.pid_exists(pid)


def test_a_process_that_dies_at_start_says_why() -> None:
    service = SocketService([sys.executable, "-c", "import sys; sys.exit('no such model')"])
    with pytest.raises(Unavailable, match="ended with status 1: no such model"):
        service.ensure()
    service.close()


def test_a_process_that_never_listens_is_given_up() -> None:
    service = SocketService([sys.executable, "-c", "import sys; sys.stdin.read()"], start_seconds=0.2)
    with pytest.raises(Unavailable, match="did not listen within"):
        service.ensure()
    assert service.pid is None
    service.close()


def test_a_program_that_does_not_exist_is_unavailable() -> None:
    service = SocketService(["/no/such/program"])
    with pytest.raises(Unavailable, match="cannot start /no/such/program"):
        service.ensure()
    service.close()


def test_the_environment_is_the_given_one() -> None:
    service = SocketService([sys.executable, "-c", "import os, sys; sys.exit(repr(sorted(os.environ)))"], env={"ONLY": "this"})
    with pytest.raises(Unavailable, match="'ONLY'"):
        service.ensure()
    service.close()


def test_standard_error_goes_to_the_named_log(tmp_path: Path) -> None:
    service = SocketService([sys.executable, "-c", "import sys; sys.exit('last words')"], log=tmp_path / "log")
    with pytest.raises(Unavailable):
        service.ensure()
    assert (tmp_path / "log").read_text() == "last words\n"
    service.close()


def test_the_process_goes_when_its_owner_is_killed() -> None:
    owner_code = f"""
import sys, time
from core.processes import SocketService
service = SocketService([sys.executable, "-c", {ECHO!r}, "{{socket}}"])
service.ensure()
print(service.pid, flush=True)
time.sleep(600)
"""
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", owner_code], stdout=subprocess.PIPE, cwd=root, text=True) as owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    child.wait(30)
    assert not child.is_running()
