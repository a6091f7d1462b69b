"""Filters on system calls, assembled as classic BPF.

A list of what is denied, since numeric libraries use too much to list all that is allowed; calls newer than the list do not
exist for the sandboxed (ENOSYS). Format: `linux/filter.h`, `linux/seccomp.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from graders.sandbox import kernel
from graders.sandbox.syscalls import (
    CHANGES_OF_FILES,
    DENIED,
    FIRST_UNKNOWN,
    NEEDED_BY_THE_ZYGOTE,
    NUMBERS,
    SIGNALS_TO_OTHERS,
    STARTS_OF_PROCESSES,
)

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD_WORD, _RETURN = 0x20, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38

_NEW_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWCGROUP | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
)  # fmt: skip
CALL_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID
"""Those that each call gets for itself."""
_SIGCHLD = 17
_MAP_SHARED = 1

Code = list[tuple[int, int, int, int]]


def zygote_filter(*, namespaces: bool) -> bytes:
    """For the process that forks calls: it may start them in their own namespaces, where it has `namespaces`, and no others."""
    # Memory that calls share would carry state from one to the next.
    code = [*_denials(DENIED), *_only_to("prlimit64", 0), *_no_shared_memory()]
    if not namespaces:
        # Where the machine's files are in sight: Landlock leaves open what these change.
        code += _denials(CHANGES_OF_FILES)
    exception = CALL_NAMESPACES | _SIGCHLD if namespaces else None
    return _program([*code, *_no_namespaces(exception)])


def call_filter(own_pid: int | None) -> bytes:
    """For one call, on top of the zygote's.

    With `own_pid` it is one that shares its process ids with the machine: it may signal nobody but itself and start no process.
    """
    code = [*_denials(NEEDED_BY_THE_ZYGOTE), *_no_namespaces(None)]
    if own_pid is not None:
        code += [*_denials(SIGNALS_TO_OTHERS), *_denials(STARTS_OF_PROCESSES)]
        code += [*_only_to("kill", own_pid), *_only_to("tgkill", own_pid), *_threads_only()]
    return _program(code)


def _program(code: Code) -> bytes:
    code = [*_prologue(), *code, (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _prologue() -> Code:
    """Another instruction set's numbers would mean other calls. The x32 numbers are all above the limit."""
    return [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _ARCHITECTURES[kernel.MACHINE]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD_WORD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, FIRST_UNKNOWN),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        # Its flags lie behind a pointer; the C library falls back to clone.
        (_JUMP_EQUAL, 0, 1, NUMBERS["clone3"]),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]


def _denials(names: Iterable[str]) -> Code:
    code: Code = []
    for name in names:
        if name in NUMBERS:
            code += [(_JUMP_EQUAL, 0, 1, NUMBERS[name]), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    return code


def _when(name: str, body: Code) -> Code:
    """`body`, which may end in a verdict, for one call only; the number is loaded again after it."""
    return [(_JUMP_EQUAL, 0, len(body) + 1, NUMBERS[name]), *body, (_LOAD_WORD, 0, 0, _NUMBER)]


def _argument(place: int) -> tuple[int, int, int, int]:
    """The lower half of an argument: all that the kernel reads of an int."""
    return (_LOAD_WORD, 0, 0, _ARGUMENTS + 8 * place)


def _no_namespaces(exception: int | None) -> Code:
    body: Code = [_argument(0)]
    if exception is not None:
        body += [(_JUMP_EQUAL, 0, 1, exception), (_RETURN, 0, 0, _ALLOW)]
    body += [(_JUMP_ANY_BIT, 0, 1, _NEW_NAMESPACES | kernel.CLONE_NEWTIME), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    return _when("clone", body)


def _threads_only() -> Code:
    return _when("clone", [_argument(0), (_JUMP_ANY_BIT, 1, 0, kernel.CLONE_THREAD), (_RETURN, 0, 0, _ERRNO | _EPERM)])


def _only_to(name: str, pid: int) -> Code:
    return _when(name, [_argument(0), (_JUMP_EQUAL, 1, 0, pid), (_RETURN, 0, 0, _ERRNO | _EPERM)])


def _no_shared_memory() -> Code:
    # Not even to read: mprotect could make it writable later.
    return _when("mmap", [_argument(3), (_JUMP_ANY_BIT, 0, 1, _MAP_SHARED), (_RETURN, 0, 0, _ERRNO | _EPERM)])
