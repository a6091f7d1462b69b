"""Memory is limited for each process, and for all processes of a call together."""

from __future__ import annotations

import pytest

from graders.base import Program
from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt, source

BOMBS = {
    "one block": "bytearray(2 << 30)",
    "many blocks": "[bytearray(10 << 20) for _ in range(1000)]",
    "a number": "1 << (1 << 36)",
    "a text": "'x' * (1 << 40)",
    "a mapping": "mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
    "a list that grows": "l = [0]\n    while True: l += l",
}
ESCAPES = {
    "a memory file": "os.memfd_create('x')",
    "shared memory": "mmap.mmap(-1, 1 << 20)",
    "System V shared memory": "assert libc.shmget(0, 1 << 20, 0o1600) >= 0",
    "a message queue": "assert libc.msgget(0, 0o1600) >= 0",
    "locked memory": "assert libc.mlockall(1) == 0",
    "a higher limit": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "huge pages": "mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_process_gets_its_share_and_no_more(sandbox: SandboxClient, bomb: str) -> None:
    error = attempt(sandbox, BOMBS[bomb], "return 1.0").error
    assert any(word in str(error) for word in ("MemoryError", "OverflowError", "Cannot allocate memory"))


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_memory_beside_the_limit(sandbox: SandboxClient, escape: str) -> None:
    assert "Error" in str(attempt(sandbox, ESCAPES[escape], "return 1.0").error)


def test_many_processes_share_one_limit(strict: SandboxClient) -> None:
    bomb = "[os.fork() or (b'x' * (150 << 20), time.sleep(30)) for _ in range(8)]; time.sleep(30)"
    text = source("if item['bomb']:", f"    {bomb}", "return 1.0")
    replies = strict.run(text, [({}, {"bomb": number == 0}) for number in range(3)])
    assert "it used more than 300 MB of memory" in str(replies[0].error)
    assert [reply.value for reply in replies[1:]] == [1.0, 1.0]


def test_memory_that_forks_share_counts_once(strict: SandboxClient) -> None:
    lines = (
        "block = b'x' * (150 << 20)",
        "children = [os.fork() or (time.sleep(1), os._exit(len(block) != 150 << 20)) for _ in range(4)]",
        "return sum(os.waitpid(child, 0)[1] for child in children) == 0",
    )
    assert attempt(strict, *lines).value is True


def test_a_program_that_needs_too_much_is_out_of_memory(sandbox: SandboxClient) -> None:
    [result] = sandbox.execute([Program("x = bytearray(1 << 30)", memory_bytes=128 << 20)])
    assert (result.out_of_memory, result.exit_code) == (True, 1)


def test_programs_out_of_memory_together_are_told_so(strict: SandboxClient) -> None:
    code = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        x = b"x" * (60 << 20)
        time.sleep(30)
time.sleep(30)
"""
    [result] = strict.execute([Program(code, memory_bytes=128 << 20, seconds=20)])
    assert (result.out_of_memory, result.exit_code, result.timed_out) == (True, None, False)
