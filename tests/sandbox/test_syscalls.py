"""System calls that a grader has no use for are refused, and none gives it new powers."""

from __future__ import annotations

import errno
import platform

import pytest

from graders.sandbox import seccomp
from graders.sandbox.client import SandboxClient
from graders.sandbox.syscalls import BY_MACHINE, DENIED, FIRST_UNKNOWN, NEEDED_BY_THE_ZYGOTE, NUMBERS
from tests.sandbox.attempts import attempt, loading

NAMESPACES = {
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}


def refused(sandbox: SandboxClient, number: int, reason: int, first: int = 0) -> bool:
    """Whether a system call comes back with this error number."""
    lines = (
        "libc = ctypes.CDLL(None, use_errno=True)",
        f"result = libc.syscall({number}, {first}, 0, 0, 0, 0, 0)",
        f"return result == -1 and ctypes.get_errno() == {reason}",
    )
    return attempt(sandbox, *lines).value is True


@pytest.mark.parametrize("name", sorted({*DENIED, *NEEDED_BY_THE_ZYGOTE} & NUMBERS.keys()))
def test_it_is_refused(sandbox: SandboxClient, name: str) -> None:
    assert refused(sandbox, NUMBERS[name], errno.EPERM)


@pytest.mark.parametrize("number", [NUMBERS["clone3"], FIRST_UNKNOWN, 500, 1000, 0x40000000, 0x40000000 + 39, 2**31 - 1])
def test_it_does_not_exist(sandbox: SandboxClient, number: int) -> None:
    assert refused(sandbox, number, errno.ENOSYS)


@pytest.mark.parametrize("name", NAMESPACES)
def test_no_new_namespace_by_clone(sandbox: SandboxClient, name: str) -> None:
    assert refused(sandbox, NUMBERS["clone"], errno.EPERM, NAMESPACES[name] | 17)


def test_nor_that_of_calls_with_anything_added(sandbox: SandboxClient) -> None:
    """The zygote may start calls in their own namespaces: exactly those."""
    flags = seccomp.CALL_NAMESPACES | NAMESPACES["mount"] | 17
    call = f"libc.syscall({NUMBERS['clone']}, {flags}, 0, 0, 0, 0)"
    head = f"libc = ctypes.CDLL(None, use_errno=True)\nif {call} != -1: raise SystemExit"
    assert loading(sandbox, head).value == 1.0


@pytest.mark.parametrize("change", ["os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.setresuid(0, 0, 0)"])
def test_nobody_becomes_another(strict: SandboxClient, change: str) -> None:
    assert "Error" in str(attempt(strict, change, "return True").error)


def test_there_are_no_new_privileges_and_no_capabilities(strict: SandboxClient) -> None:
    capget = {"x86_64": 125}.get(platform.machine(), 90)
    lines = (
        "header, data = ctypes.create_string_buffer(b'\\x22\\x05\\x08\\x20' + bytes(4), 8), ctypes.create_string_buffer(24)",
        f"assert libc.syscall({capget}, header, data) == 0",
        "return data.raw == bytes(24) and libc.prctl(39, 0, 0, 0, 0) == 1",
    )
    assert attempt(strict, *lines).value is True


def test_tables_of_both_machines_have_the_same_calls() -> None:
    old = {
        "fork", "vfork", "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "inotify_init", "ioperm", "iopl",
        "modify_ldt", "sysfs", "_sysctl", "uselib", "ustat",
    }  # fmt: skip
    assert BY_MACHINE["x86_64"].keys() - BY_MACHINE["aarch64"].keys() == old
    assert BY_MACHINE["aarch64"].keys() <= BY_MACHINE["x86_64"].keys()
