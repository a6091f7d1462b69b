"""The grader service of several owners: who may use it, what becomes of calls when a side goes away."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from graders.base import FailureKind, GradeError, Sample
from graders.python_grader import PythonGrader
from graders.sandbox import frames
from graders.sandbox.client import SandboxUnavailable
from graders.sandbox.service import ServiceClient
from graders.specs.python import PythonSource
from tests.grader_service import PATIENCE_SECONDS, ROOT, GraderService, grader_service

ONE = "def grade(sample, item): return 1.0"
ENDLESS = "def grade(sample, item):\n    while True: pass"
SLOW = "import time\ndef grade(sample, item):\n    time.sleep(1)\n    return 1.0"


@pytest.fixture(scope="module")
def shared() -> Iterator[GraderService]:
    """One for the tests that leave it as it is; one call at a time."""
    with grader_service("--parallel", "1") as service:
        yield service


@pytest.fixture
def own() -> Iterator[GraderService]:
    """One to be killed."""
    with grader_service() as service:
        yield service


def until(what: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (value := what()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return value


def calls_of(service: GraderService) -> list[psutil.Process]:
    """The processes of calls in flight: children of zygotes, which are children of keepers, which are children of launchers."""
    found = []
    for process in service.process.children(recursive=True):
        try:
            if len(process.parents()) - len(service.process.parents()) == 4:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def in_thread(client: ServiceClient, source: str, calls: int = 1) -> list[Any]:
    """A batch under way; its end is appended."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(client.run(source, [({}, {})] * calls, tenant="a"))
        except SandboxUnavailable as error:
            outcome.append(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def test_the_socket_is_open_to_its_owner_and_group_alone(shared: GraderService) -> None:
    assert stat.S_IMODE(shared.path.stat().st_mode) == 0o660


def test_nothing_of_the_operators_environment_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RFT_SECRETS_KEY", "s" * 32)
    monkeypatch.setenv("DATABASE_PASSWORD", "s")
    with grader_service() as service:
        assert set(service.process.environ()) == {"PATH", "PYTHONPATH", "LANG"}


def test_two_owners_share_it(shared: GraderService) -> None:
    clients = [ServiceClient(shared.path), ServiceClient(shared.path)]
    assert [client.run(ONE, [({}, {})])[0].value for client in clients] == [1.0, 1.0]
    for client in clients:
        client.close()


def test_two_projects_share_no_process(shared: GraderService) -> None:
    client = ServiceClient(shared.path)
    before = len(shared.process.children())
    for tenant in ("b", "c"):
        client.for_tenant(tenant).run(ONE, [({}, {})])
    assert len(shared.process.children()) == before + 2
    client.close()


def test_a_client_that_goes_away_takes_its_calls_along(shared: GraderService) -> None:
    gone, other = ServiceClient(shared.path), ServiceClient(shared.path)
    outcome = in_thread(gone, ENDLESS, calls=50)
    until(lambda: calls_of(shared))
    gone.close()
    assert isinstance(until(lambda: outcome)[0], SandboxUnavailable)
    # With one call at a time this would wait for fifty endless ones.
    assert other.run(ONE, [({}, {})])[0].value == 1.0
    other.close()


def test_a_killed_owner_takes_its_calls_along(shared: GraderService) -> None:
    code = f"""
from pathlib import Path
from graders.sandbox.service import ServiceClient
ServiceClient(Path({str(shared.path)!r})).run({ENDLESS!r}, [({{}}, {{}})] * 50)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as owner:
        until(lambda: calls_of(shared))
        owner.kill()
    until(lambda: not calls_of(shared))


def test_one_projects_long_batch_does_not_keep_another_waiting_for_its_end(shared: GraderService) -> None:
    busy, other = ServiceClient(shared.path), ServiceClient(shared.path)
    outcome = in_thread(busy, SLOW, calls=500)
    until(lambda: calls_of(shared))
    assert other.run(ONE, [({}, {})], tenant="b")[0].value == 1.0
    assert outcome == []
    for client in (busy, other):
        client.close()


def test_a_service_that_is_restarted_under_a_call_goes_unnoticed(own: GraderService) -> None:
    patient, hasty = ServiceClient(own.path, patience_seconds=60), ServiceClient(own.path, patience_seconds=0)
    outcome = in_thread(patient, SLOW)
    until(lambda: calls_of(own))
    own.kill()
    with pytest.raises(SandboxUnavailable):
        hasty.run(ONE, [({}, {})])
    own.start()
    assert until(lambda: outcome)[0][0].value == 1.0
    patient.close()


def test_a_service_that_stays_away_fails_the_samples_and_serves_again_when_it_is_back(own: GraderService) -> None:
    client = ServiceClient(own.path, patience_seconds=0)
    grader = PythonGrader(PythonSource(type="python", name="g", source=ONE), client.for_tenant("a"))
    own.kill()
    [missing] = grader.grade([Sample({}, "")])
    assert isinstance(missing, GradeError)
    assert missing.kind == FailureKind.PYTHON_SERVER
    own.start()
    assert [getattr(grade, "score", None) for grade in grader.grade([Sample({}, "")])] == [1.0]
    client.close()


def test_a_service_that_hangs_fails_the_call(own: GraderService) -> None:
    client = ServiceClient(own.path, silence_seconds=4)
    client.run(ONE, [({}, {})])
    own.process.send_signal(signal.SIGSTOP)
    with pytest.raises(SandboxUnavailable, match="does not answer"):
        client.run(ONE, [({}, {})])
    own.process.send_signal(signal.SIGCONT)
    client.close()


def test_a_service_at_work_is_waited_for_longer_than_its_silence_may_last(own: GraderService) -> None:
    client = ServiceClient(own.path, silence_seconds=4)
    source = "import time\ndef grade(sample, item):\n    time.sleep(6)\n    return 1.0"
    assert client.run(source, [({}, {})])[0].value == 1.0
    client.close()


def test_a_service_below_the_minimum_gets_no_work(tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-P", "-m", "graders.sandbox.server", str(path), "--service", "--level", "process"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as service:
        until(path.exists)
        with pytest.raises(SandboxUnavailable, match="'process', less than the 'strict'"):
            ServiceClient(path, minimum="strict").run(ONE, [({}, {})])
        service.terminate()


def test_sigterm_ends_it_and_leaves_nothing(own: GraderService) -> None:
    client = ServiceClient(own.path)
    client.run(ONE, [({}, {})])
    client.close()
    processes = [own.process, *own.process.children(recursive=True)]
    own.stop()
    assert psutil.wait_procs(processes, timeout=30)[1] == []
    assert list(own.path.parent.iterdir()) == []


def test_a_frame_that_is_too_large_is_not_read(shared: GraderService) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(shared.path))
        connection.sendall(frames.HEADER.pack(frames.MAX_BYTES + 1))
        assert connection.recv(1) == b""
    client = ServiceClient(shared.path)
    assert client.run(ONE, [({}, {})])[0].value == 1.0
    client.close()


def test_a_second_service_does_not_take_the_socket_over(shared: GraderService) -> None:
    command = [sys.executable, "-m", "cli.main", "grader", "--socket", str(shared.path)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert second.returncode != 0
    assert "another service listens" in second.stderr
