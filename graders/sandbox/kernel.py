"""The system calls of the sandbox that Python has no function for. Standard library only.

Numbers are those of the kernel's `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64); elsewhere there is no sandbox.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

CLONE_THREAD = 0x00010000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWTIME = 0x00000080

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
MOUNT_ATTR_NOEXEC = 8

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

MACHINE = platform.machine()
_NUMBERS = {
    "x86_64": {"clone": 56, "capset": 126, "pivot_root": 155},
    "aarch64": {"clone": 220, "capset": 91, "pivot_root": 41},
}.get(MACHINE, {})
_MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446

_libc = ctypes.CDLL(None, use_errno=True)


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """The raw call. Raises `OSError`."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *converted))


def prctl(option: int, argument: int = 0) -> None:
    """Set an attribute of this process. Raises `OSError`."""
    _checked(_libc.prctl(option, *(ctypes.c_ulong(value) for value in (argument, 0, 0, 0))))


def unshare(flags: int) -> None:
    """New namespaces for this process. Raises `OSError`."""
    _checked(_libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Raises `OSError`."""
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    _checked(_libc.mount(*texts, ctypes.c_ulong(flags), None if data is None else data.encode()), target)


def unmount(target: str) -> None:
    """Take a mount out of the tree; it ends when nothing uses it any more. Raises `OSError`."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), target)


def restrict_mount(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add `MOUNT_ATTR_*` to a mount (Linux 5.12). Raises `OSError`."""
    request = struct.pack("QQQQ", attributes, 0, 0, 0)
    syscall(_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE if recursive else 0, request, len(request))


def make_root(directory: str) -> None:
    """Make a mount point the root of all, and let go of the old one. Raises `OSError`."""
    os.chdir(directory)
    syscall(_number("pivot_root"), b".", b".")
    # The old root lies on top of the new one until it is taken away.
    unmount(".")
    os.chdir("/")


def clone(flags: int) -> int:
    """`os.fork` with the namespaces of `flags` new: 0 in the child. For single-threaded processes. Raises `OSError`."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = _libc.syscall(*(ctypes.c_long(value) for value in (_number("clone"), flags | 17, 0, 0, 0, 0)))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _checked(pid)


def drop_bounding_set() -> None:
    """No program that this process executes may give it a capability."""
    for capability in range(_LAST_CAPABILITY + 1):
        # Fails for those that this kernel does not have.
        _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), *(ctypes.c_ulong(0),) * 3)


def drop_capabilities() -> None:
    """Give up every capability for good. Raises `OSError`."""
    syscall(_number("capset"), struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def install_filter(program: bytes) -> None:
    """Put a seccomp filter (an array of `struct sock_filter`) on this process and all it starts. Raises `OSError`."""
    request = _FilterProgram(len(program) // 8, program)
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(request), zero, zero))


def _number(name: str) -> int:
    if name not in _NUMBERS:
        raise OSError(errno.ENOSYS, f"no sandbox on {MACHINE}")
    return _NUMBERS[name]


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result
