"""Processes of the sandbox: they come back when they are killed, and none outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from graders.sandbox.client import SandboxClient
from graders.sandbox.server import WARM_ZYGOTES

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "def grade(sample, item): return 1.0"


@pytest.fixture(params=[True, False], ids=["namespaces", "plain"])
def client(request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    client = SandboxClient(namespaces=request.param)
    client.run(SOURCE, [({}, {})])
    yield client
    client.close()


def server_of(client: SandboxClient) -> psutil.Process:
    assert client.server_pid is not None
    return psutil.Process(client.server_pid)


def warm_processes(client: SandboxClient) -> list[psutil.Process]:
    """Launchers and their zygotes, without calls that are just ending."""
    launchers = [child for child in server_of(client).children() if "launcher.py" in " ".join(child.cmdline())]
    return launchers + [zygote for launcher in launchers for zygote in launcher.children()]


def gone(processes: list[psutil.Process]) -> bool:
    return psutil.wait_procs(processes, timeout=30)[1] == []


def test_a_killed_server_comes_back(client: SandboxClient) -> None:
    os.kill(server_of(client).pid, signal.SIGKILL)
    assert client.run(SOURCE, [({}, {})])[0].value == 1.0


def test_a_server_killed_in_the_middle_of_a_batch_comes_back(client: SandboxClient) -> None:
    source = """
import os, time
def grade(sample, item):
    if not os.path.exists(item["mark"]):
        open(item["mark"], "w").close()
        time.sleep(600)
    return 1.0
"""
    mark = Path("mark").absolute()
    server = server_of(client)
    killer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, time\nwhile not os.path.exists({str(mark)!r}): time.sleep(0.01)\nos.kill({server.pid}, 9)",
        ]
    )
    assert client.run(source, [({}, {"mark": str(mark)})])[0].value == 1.0
    assert killer.wait() == 0


def test_a_killed_servers_zygotes_go_with_it(client: SandboxClient) -> None:
    server = server_of(client)
    below = warm_processes(client)
    server.kill()
    assert len(below) == 2
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
    assert len(warm_processes(client)) == 2 * WARM_ZYGOTES


@pytest.mark.parametrize("namespaces", [True, False], ids=["namespaces", "plain"])
def test_nothing_outlives_a_killed_owner(namespaces: bool) -> None:
    code = f"""
import threading, time
from graders.sandbox.client import SandboxClient
client = SandboxClient(namespaces={namespaces})
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
