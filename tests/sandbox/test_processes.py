"""No sight of other processes, no signals to them, no more of one's own than allowed, and none that stay."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from graders.sandbox.client import SandboxClient
from graders.sandbox.levels import Level
from tests.sandbox.attempts import attempt, loading, source


@pytest.fixture
def victim() -> Iterator[int]:
    """A process of this user."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


SIGNALS = {
    "kill": "os.kill(pid, 9)",
    "kill all": "os.kill(-1, 9)",
    "killpg": "os.killpg(os.getpgid(pid), 9)",
    "look": "os.kill(pid, 0)",
    "pidfd": "signal.pidfd_send_signal(os.pidfd_open(pid), 9)",
    "queue": "assert libc.sigqueue(pid, 9, 0) == 0",
    "thread": "assert libc.syscall({'x86_64': 200}.get(os.uname().machine, 130), pid, 9) == 0",
    "priority": "os.setpriority(os.PRIO_USER, 0, 19)",
    "scheduler": "os.sched_setaffinity(pid, {0})",
    "limits": "import resource; resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1))",
    "own the terminal": "os.open('/dev/tty', os.O_RDWR)",
}


@pytest.mark.parametrize("way", SIGNALS)
def test_other_processes_are_out_of_reach(sandbox: SandboxClient, way: str, victim: int) -> None:
    reply = attempt(sandbox, "pid = item['pid']", SIGNALS[way], "return True", item={"pid": victim})
    # At the strict level a call may signal all that it sees, which is itself.
    assert reply.value is None or way == "kill all"
    assert sandbox.run("def grade(sample, item): return 1.0", [({}, {})])[0].value == 1.0


def test_processes_are_not_listed(sandbox: SandboxClient) -> None:
    assert attempt(sandbox, "return len([p for p in os.listdir('/proc') if p.isdigit()])").value in (None, 0)


def test_at_the_strict_level_it_is_alone(strict: SandboxClient) -> None:
    lines = (
        "found = 0",
        "for pid in range(2, 40000):",
        "    try: os.kill(pid, 0); found += 1",
        "    except OSError: pass",
        "return found",
    )
    assert attempt(strict, *lines).value == 0


@pytest.mark.parametrize("bomb", ["while True: os.fork()", "for _ in range(100_000): os.fork()"])
def test_a_fork_bomb_costs_its_own_call_only(strict: SandboxClient, bomb: str) -> None:
    text = source("if item['bomb']:", f"    {bomb}", "return 1.0")
    replies = strict.run(text, [({}, {"bomb": number == 0}) for number in range(4)])
    assert [reply.value for reply in replies] == [None, 1.0, 1.0, 1.0]


def test_a_thread_bomb_costs_its_own_call_only(strict: SandboxClient) -> None:
    bomb = "[threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(10_000)]"
    text = source("if item['bomb']:", f"    threading.stack_size(32768); {bomb}", "return 1.0")
    replies = strict.run(text, [({}, {"bomb": number == 0}) for number in range(3)])
    assert [reply.value for reply in replies] == [None, 1.0, 1.0]


def test_a_few_processes_and_threads_are_allowed(strict: SandboxClient) -> None:
    lines = (
        "import subprocess, concurrent.futures",
        "out = subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout",
        "with concurrent.futures.ThreadPoolExecutor(8) as pool: total = sum(pool.map(len, ['ab'] * 8))",
        "return int(out) + total",
    )
    assert attempt(strict, *lines).value == 58


def test_without_namespaces_there_are_threads_only() -> None:
    client = SandboxClient(level=Level.PROCESS)
    threads = "with __import__('concurrent.futures').futures.ThreadPoolExecutor(4) as pool: return sum(pool.map(len, ['ab'] * 4))"
    assert attempt(client, threads).value == 8
    assert "PermissionError" in str(attempt(client, "os.fork()", "return 1").error)
    client.close()


_DAEMON = """if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
        os._exit(0)"""
_DEAF = """if os.fork() == 0:
        for n in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(n, signal.SIG_IGN)
        time.sleep(600)"""
LEAVINGS = {
    "a child": "if os.fork() == 0: time.sleep(600)",
    "a daemon": _DAEMON,
    "one that ignores signals": _DEAF,
    "many": "[os.fork() or time.sleep(600) for _ in range(20)]",
}


@pytest.mark.parametrize("leaving", LEAVINGS)
def test_nothing_is_left_running(strict: SandboxClient, leaving: str) -> None:
    assert attempt(strict, LEAVINGS[leaving], "return 1.0").value == 1.0
    below = psutil.Process(strict.server_pid or 0).children(recursive=True)
    # A call's processes stand four below the server: launcher, keeper, zygote, call.
    assert [process for process in below if len(process.parents()) >= len(psutil.Process(os.getpid()).parents()) + 5] == []


def test_a_source_that_leaves_threads_is_refused(sandbox: SandboxClient) -> None:
    head = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    assert "leaves threads or processes" in str(loading(sandbox, head).error)


def test_a_source_that_leaves_processes_is_refused(sandbox: SandboxClient) -> None:
    head = "if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)"
    assert "leaves threads or processes" in str(loading(sandbox, head).error)


@pytest.mark.parametrize("way", ["kill", "pidfd", "thread", "priority", "limits"])
def test_other_processes_are_out_of_reach_while_a_source_loads(sandbox: SandboxClient, way: str, victim: int) -> None:
    assert "Error" in str(loading(sandbox, f"pid, libc = {victim}, ctypes.CDLL(None)\n{SIGNALS[way]}").error)
