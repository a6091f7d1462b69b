"""Processes of the sandbox: they come back when they are killed, and none outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from graders.sandbox.client import SandboxClient
from graders.sandbox.pool import WARM_ZYGOTES
from tests.sandbox.conftest import WALLED

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "def grade(sample, item): return 1.0"


@pytest.fixture(params=WALLED)
def client(request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    client = SandboxClient(level=request.param)
    client.run(SOURCE, [({}, {})])
    yield client
    client.close()


def server_of(client: SandboxClient) -> psutil.Process:
    assert client.server_pid is not None
    return psutil.Process(client.server_pid)


def warm_processes(client: SandboxClient) -> list[psutil.Process]:
    """Launchers, their keepers and zygotes, without calls that are just ending."""
    launchers = [child for child in server_of(client).children() if child.status() != psutil.STATUS_ZOMBIE]
    keepers = [keeper for launcher in launchers for keeper in launcher.children()]
    return [*launchers, *keepers, *(zygote for keeper in keepers for zygote in keeper.children())]


def gone(processes: list[psutil.Process]) -> bool:
    return psutil.wait_procs(processes, timeout=30)[1] == []


def test_a_killed_server_comes_back(client: SandboxClient) -> None:
    os.kill(server_of(client).pid, signal.SIGKILL)
    assert client.run(SOURCE, [({}, {})])[0].value == 1.0


def test_a_server_killed_in_the_middle_of_a_batch_comes_back(client: SandboxClient) -> None:
    source = "import time\ndef grade(sample, item):\n    time.sleep(1)\n    return 1.0"
    client.run(SOURCE, [({}, {})])
    killer = threading.Timer(0.5, server_of(client).kill)
    killer.start()
    assert client.run(source, [({}, {})])[0].value == 1.0
    killer.join()


def test_a_killed_servers_zygotes_go_with_it(client: SandboxClient) -> None:
    server = server_of(client)
    below = warm_processes(client)
    server.kill()
    assert len(below) == 3
    assert gone(below)


def test_a_killed_zygote_is_replaced(client: SandboxClient) -> None:
    warm_processes(client)[-1].kill()
    assert client.run(SOURCE, [({}, {})])[0].value == 1.0


def test_close_leaves_no_process(client: SandboxClient) -> None:
    server = server_of(client)
    processes = [server, *warm_processes(client)]
    client.close()
    assert gone(processes)


def test_one_source_keeps_one_zygote(client: SandboxClient) -> None:
    before = warm_processes(client)
    client.run(SOURCE, [({}, {})] * 8)
    assert warm_processes(client) == before


def test_warm_zygotes_are_bounded(client: SandboxClient) -> None:
    for number in range(WARM_ZYGOTES + 3):
        client.run(f"{SOURCE}\n# {number}", [({}, {})])
    assert len(warm_processes(client)) == 3 * WARM_ZYGOTES


@pytest.mark.parametrize("level", WALLED)
def test_nothing_outlives_a_killed_owner(level: str) -> None:
    code = f"""
import threading, time
from graders.sandbox.client import SandboxClient
client = SandboxClient(level={str(level)!r})
client.run({SOURCE!r}, [({{}}, {{}})])
endless = "def grade(sample, item):\\n    while True: pass"
threading.Thread(target=client.run, args=(endless, [({{}}, {{}})])).start()
time.sleep(0.5)
print(client.server_pid, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        processes = [server, *server.children(recursive=True)]
        owner.kill()
    assert gone(processes)
