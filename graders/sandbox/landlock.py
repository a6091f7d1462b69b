"""Landlock: a process gives up access to files, TCP ports, abstract sockets and other processes, for good and without privileges.

Structures and flags: https://docs.kernel.org/userspace-api/landlock.html. Not covered by Landlock: `stat`, `chmod`, `chown` and
their like, `inotify`, UDP and other sockets; `seccomp` and namespaces see to those.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence

from graders.sandbox import kernel

_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_IOCTL_DEV = 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | _IOCTL_DEV
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files a version knows; the later ones know as many as the last here."""
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
SIGNALS_SINCE = 6
"""The version that keeps signals and abstract sockets within the sandbox."""

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE_FILE


def version() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    try:
        return kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


class Ruleset:
    """What a process may still do; all else is denied once it is `enforce`d. Raises `OSError` where the kernel refuses."""

    def __init__(self) -> None:
        self._version = version()
        self._all = (1 << _FILE_RIGHTS[min(max(self._version, 1), max(_FILE_RIGHTS))]) - 1
        tcp = _BIND_AND_CONNECT_TCP if self._version >= 4 else 0
        scopes = _ABSTRACT_SOCKETS_AND_SIGNALS if self._version >= SIGNALS_SINCE else 0
        # Older kernels refuse a longer structure than they know only where the rest of it is not zero.
        attributes = struct.pack("QQQ", self._all, tcp, scopes)
        self._handle = kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)

    @property
    def scratch(self) -> int:
        """Everything but devices, sockets and execution."""
        return self._all & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV)

    def rule(self, path: str, rights: int) -> bytes:
        """Rights on a file, or on everything below a directory. Keeps a descriptor open, so that the rule can be used again."""
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights &= self._all
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        return struct.pack("=Qi", rights, handle)

    def of_code(self, paths: Sequence[str], devices: Sequence[str]) -> list[bytes]:
        """The rules under which an interpreter runs."""
        return [*(self.rule(path, _READ) for path in paths), *(self.rule(path, _DEVICE) for path in devices)]

    def add(self, rule: bytes) -> None:
        """Allow what a rule says; it may come from another ruleset."""
        kernel.syscall(kernel.LANDLOCK_ADD_RULE, self._handle, _PATH_BENEATH, rule, 0)

    def enforce(self) -> None:
        """From here on, for this process and all it starts."""
        kernel.syscall(kernel.LANDLOCK_RESTRICT_SELF, self._handle, 0)

    def close(self) -> None:
        """Let go of the ruleset; what it enforces stays."""
        os.close(self._handle)
